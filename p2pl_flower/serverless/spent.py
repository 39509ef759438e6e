"""How often a device has let an update out: on disk before it does, for its epsilon."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ConfigError

_FILE = "rounds-begun"
_DIGITS = 20


class RoundsBegun:
    """Counts rounds where a crash, a damaged checkpoint or a full disk lose none of them.

    The number is written in place, which takes no more room on the disk.

    Parameters
    ----------
    folder : Path or None
        Where the checkpoint is; None for nowhere, and nothing is counted.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / _FILE

    def read(self) -> int | None:
        """Return how many rounds were begun; None where that is not known."""
        try:
            return None if self._path is None else int(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def write(self, count: int) -> None:
        """Put the number of rounds onto the disk, the one that is about to begin among them.

        Raises
        ------
        ConfigError
            That cannot be done.
        """
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, f"{count:0{_DIGITS}d}\n".encode("ascii"))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            rule = f"cannot be written ({error.strerror}): no round begins whose privacy would not "
            raise ConfigError("checkpoint", str(self._path), rule + "be counted") from None
