"""glibc's heap: by itself it keeps what large arrays were in; here it is told to give it back. Elsewhere, nothing."""

import contextlib
import ctypes

_PARAMETERS = {"trim bytes": (-1, 8 << 20), "mmap bytes": (-3, 1 << 20), "heaps": (-8, 2)}
"""Of mallopt, numbered as in malloc.h."""


def bound_heap() -> None:
    """Have large arrays unmapped when they are freed, and keep two heaps instead of one a thread."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _PARAMETERS.values():
            mallopt(parameter, value)


def give_back() -> None:
    """Give freed pages back to the system, wherever they lie. Takes some milliseconds."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
