"""Memory that a process has freed and the C library still holds.

Messages of 1 MB pass through many threads, and glibc keeps what each of them has freed for later
use: after some rounds that came to more than a model. Elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
import functools
import platform

_ARENA_MAX = -8  # M_ARENA_MAX in malloc.h


def share_one_arena() -> None:
    """Let all threads use the one arena that `give_back` can empty; to be called early."""
    if (library := _glibc()) is not None:
        library.mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Hand what has been freed back to the operating system."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
