"""How many files a process may have open: connections are among them."""

from __future__ import annotations

import contextlib

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

_UNKNOWN = 1024  # what systems allow at least


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one, as far as the system lets us.

    Returns
    -------
    int
        The limit that holds from now on.
    """
    if resource is None:
        return _UNKNOWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS says no limit, and has one
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def limit() -> int:
    """Return how many files this process may have open."""
    if resource is None:
        return _UNKNOWN
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNKNOWN if soft == resource.RLIM_INFINITY else int(soft)
