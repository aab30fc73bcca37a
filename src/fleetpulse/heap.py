"""Memory of the machine: large arrays that cost nothing until they are written to, and glibc made to return memory.

By itself glibc keeps the memory of freed large arrays for later, so the service would look much larger than it is.
With another C library the functions about that do nothing.
"""

import contextlib
import ctypes
import math
import mmap
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Parameters of mallopt, numbered as in malloc.h."""


def bound_heap() -> None:
    """Make glibc unmap large arrays as soon as they are freed, and share two heaps instead of one for each thread."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, 8 << 20)
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)
        mallopt(_M_ARENA_MAX, 2)


def give_back() -> None:
    """Return all freed pages to the system. Takes a few milliseconds."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


_Number = TypeVar("_Number", bound=np.generic)


def lazy_zeros(shape: tuple[int, ...], dtype: type[_Number]) -> NDArray[_Number]:
    """Zeros of `shape` and `dtype` (int64, say) whose pages cost memory only once they are written to.

    So the array may be far too large.
    `numpy.zeros` promises that only where the C library maps new pages, not where it clears memory that was freed.

    Raises: OSError: the system does not map so much.
    """
    size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    pages = mmap.mmap(-1, max(1, size_bytes), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    array: NDArray[_Number] = np.frombuffer(pages, dtype, math.prod(shape)).reshape(shape)
    return array


def use_huge_pages(array: NDArray[np.generic]) -> None:
    """Have an array of `lazy_zeros`, or a view of one (any shape and dtype), use large pages where the system has them.

    Random access is twice as fast. Each page that is written to takes 2 MB, so this is for arrays that are much used.
    """
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    owner = owner.obj if isinstance(owner, memoryview) else owner
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            owner.madvise(mmap.MADV_HUGEPAGE)
