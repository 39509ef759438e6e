"""A folder that one process at a time works in."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

_FILE = "in-use"


class FolderLock:
    """Holds a folder until it is closed, or its process ends, however it ends.

    Parameters
    ----------
    folder : Path
        The folder, which is made.

    Raises
    ------
    ConfigError
        Another process holds it, or it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = -1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            rule = f"cannot be written: {error.strerror}"
            raise ConfigError("checkpoint", str(folder), rule) from None
        if fcntl is None:
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 20).decode(errors="replace").strip()
            self.close()
            rule = f"is another peer's, which is running (process {holder}): each device needs a "
            raise ConfigError("checkpoint", str(folder), f"{rule}folder of its own") from None
        except OSError:
            return  # not every file system can
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def close(self) -> None:
        """Let go of the folder."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
