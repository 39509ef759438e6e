"""Memory that a process has freed: for the C library to keep, or to hand back.

Elsewhere than with glibc nothing is done.
"""

from __future__ import annotations

import ctypes
import functools
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # as in malloc.h
_KEPT_BYTES, _LARGEST_KEPT = 64 << 20, 32 << 20  # for each thread; the most that glibc takes


def keep_for_reuse() -> None:
    """Keep what is freed at hand, for loops that need the same sizes again and again.

    Otherwise the operating system may have to clear every page of theirs anew.
    """
    if (library := _glibc()) is not None:
        library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)


def share_one_arena() -> None:
    """Let all threads use the one arena that `give_back` can empty; to be called early.

    Messages of 1 MB pass through many threads, and glibc keeps what each of them has freed for
    later use: after some rounds that came to more than a model.
    """
    if (library := _glibc()) is not None:
        library.mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Hand what has been freed back to the operating system."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
