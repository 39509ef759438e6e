"""Folders that belong to a process: who dies leaves them for others to remove.

The process holds a lock on a file in the folder. The system gives the lock up when the process
ends, however it ends, and knows it in all containers that share the folder. A process id would
tell neither: another container has its own, and a number comes back.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: folders there count as in use for ever
    fcntl = None  # type: ignore[assignment]

_OWNER = "owner"
_NO_LOCK = "no lock could be had here: remove this folder yourself when its run is over"
_LOCKED = re.compile(rb"(\d+\n)?")  # nothing is written yet, or who it is that had the lock


def make_owned(folder: Path) -> int:
    """Make a folder that only this user may enter, and that is in use until this process ends.

    Returns
    -------
    int
        The descriptor that holds the lock: closing it ends the use, too.

    Raises
    ------
    OSError
        The folder is there already, or cannot be made.
    """
    folder.mkdir(mode=0o700)
    while True:
        with contextlib.suppress(FileNotFoundError):
            descriptor = _open_owner(folder)
            locked = _lock(descriptor, wait=True)
            if _is_owner_of(descriptor, folder):
                break
            os.close(descriptor)
        # Somebody took it for a leftover before it was locked, and is about to remove it.
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    os.write(descriptor, f"{os.getpid() if locked else _NO_LOCK}\n".encode())  # for people
    return descriptor


def remove_if_left(folder: Path) -> bool:
    """Remove a folder of `make_owned` whose process has ended; return whether it had.

    A folder of another user, and one whose process may be alive, stays.
    """
    try:
        if not _is_ours(folder):
            return False
        descriptor = _open_owner(folder)
    except OSError:
        return False
    try:
        left = _lock(descriptor, wait=False) and _is_owner_of(descriptor, folder)
        if left and _LOCKED.fullmatch(os.read(descriptor, len(_NO_LOCK))):
            shutil.rmtree(folder, ignore_errors=True)
            return True
        return False
    finally:
        os.close(descriptor)


def _open_owner(folder: Path) -> int:
    """Open the file to be locked; one that is not there yet is locked before it is owned."""
    no_links = getattr(os, "O_NOFOLLOW", 0)
    return os.open(folder / _OWNER, os.O_RDWR | os.O_CREAT | no_links, 0o600)


def _lock(descriptor: int, wait: bool) -> bool:
    """Return whether the lock could be had; not each file system knows locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_owner_of(descriptor: int, folder: Path) -> bool:
    """Return whether an open file still has its place in a folder."""
    try:
        return os.path.samestat(os.fstat(descriptor), (folder / _OWNER).lstat())
    except OSError:
        return False


def _is_ours(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and (
        not hasattr(os, "getuid") or found.st_uid == os.getuid()
    )
