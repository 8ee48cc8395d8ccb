"""Keep large blocks of memory in the process instead of returning them after every operation."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc, malloc.h


def keep_large_blocks() -> bool:
    """Tell the C library to reuse large blocks; return whether it did.

    glibc hands every block over 32 MiB back to the kernel when it is freed, and a fresh one must
    be cleared page by page: about half of the time of an unrolled step on the CPU. The setting
    holds for the whole process, so the command line makes it, never the library. Elsewhere than
    on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    large = mallopt(M_MMAP_THRESHOLD, 1 << 30)
    return bool(large and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
