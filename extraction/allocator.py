"""Keep memory that an encoder has freed in the process."""

import ctypes
import sys

# glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 1 << 30


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next batch instead of returning it to the system.

    An encoder's arrays of tens of megabytes are allocated and freed at every layer. By default glibc maps each array
    again, and the system zeroes its pages at the first access. The setting holds for a whole process, so only the
    command line calls this function. It does nothing with another C library.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
