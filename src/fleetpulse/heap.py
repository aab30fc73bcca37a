"""Make glibc return freed memory to the system; with another C library these functions do nothing.

By itself glibc keeps the memory of freed large arrays for later, so the service would look much larger than it is.
"""

import contextlib
import ctypes

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
