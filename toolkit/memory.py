"""Memory that a process keeps between the steps of a training."""

from __future__ import annotations

import ctypes
from functools import cache

#: Numbers of `mallopt` in glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


@cache
def keep_memory() -> None:
    """Let the C library give nothing back to the system from now on.

    TensorFlow asks for every array anew and frees it some operations later. glibc takes larger ones
    from the system each time and gives them back, and the system has to clear their pages: half of
    the time of a training whose steps are short. Where there is no glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
