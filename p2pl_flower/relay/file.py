"""A relay for devices of one machine: entries are files.

The files lie in shared memory where the machine has enough of it, so that publishing and
collecting are memory copies, with no process in between to ask.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import RelayError
from ..named_arrays import Model
from ..system.files import replacing
from . import ownership
from .base import Relay
from .entries import RunEntries
from .entry_mailbox import EntryMailbox
from .mailbox import Mailbox
from .ray import cluster_nodes
from .spool import map_model, write_model

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder of a run is ours alone
_ENOUGH_BYTES = 2**30


class FileRelay(Relay):
    """Moves models between devices on one machine, in whatever processes they live.

    It suits Flower's simulation, and SuperNodes that share a machine. A simulation on a Ray
    cluster of several machines needs `RayRelay`.

    What a run that was killed has left behind is removed when the next one starts. On a file
    system without locks (``flock``) it stays: nobody can tell there whether its process lives.

    Parameters
    ----------
    folder : str or Path, optional
        Where the run's folder is made; shared memory if at least 1 GiB of it is free, else
        the folder for temporary files.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._places = [Path(folder)] if folder else [_SHARED_MEMORY, Path(tempfile.gettempdir())]
        self._locks: dict[int, int] = {}
        self._folders: dict[int, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the locks behind: a copy in another process owns no folder."""
        return {"_places": self._places, "_locks": {}, "_folders": {}}

    def open(self, run: int) -> None:
        """Make the run's folder, for this user alone.

        Raises
        ------
        RelayError
            It cannot be made, or the run is on a Ray cluster of several nodes.
        """
        if (nodes := cluster_nodes()) > 1:
            raise RelayError(
                f"FileRelay serves devices of one machine, and this Ray cluster has {nodes} nodes: "
                "use relay 'ray', on both sides, or leave the choice to 'auto'"
            )
        for place in self._places:
            for left in place.glob(_name("*")):
                ownership.remove_if_left(left)
        roomy = [place for place in self._places[:-1] if _free(place) >= _ENOUGH_BYTES]
        place = [*roomy, self._places[-1]][0]
        try:
            self._locks[run] = ownership.make_owned(place / _name(run))
        except OSError as error:
            raise RelayError(f"FileRelay cannot keep run {run} in {place}: {error}") from None
        RunEntries(self, run).admit({})

    def is_open(self, run: int) -> bool:
        """Return whether the run's folder is there."""
        return any((place / _name(run)).is_dir() for place in self._places)

    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return a device's mailbox, from any process of this machine."""
        return EntryMailbox(self._opened(run), device, copies=False)

    def put(self, run: int, key: str, arrays: Model | None) -> None:
        """Write a file that appears whole."""
        path = Path(self._folder(run), _file(key))
        try:
            if arrays is None:
                path.unlink(missing_ok=True)
                return
            with replacing(path) as part, part.open("wb") as file:
                write_model(file, arrays)
        except (OSError, RelayError) as error:
            self._check_open(run)
            raise RelayError(f"cannot publish {key} in {path.parent}: {error}") from None

    def get(self, run: int, key: str) -> Model | None:
        """Map a file: its arrays are views of shared memory, not copies."""
        try:
            return map_model(f"{self._folder(run)}/{_file(key)}")
        except FileNotFoundError:
            self._check_open(run)
            return None

    def close(self, run: int) -> None:
        """Remove the run's folder and all that is in it."""
        lock = self._locks.pop(run, None)
        if lock is not None:
            os.close(lock)
        for place in self._places:
            shutil.rmtree(place / _name(run), ignore_errors=True)

    def _folder(self, run: int) -> str:
        if run not in self._folders:
            self._check_open(run)
        return self._folders[run]

    def _check_open(self, run: int) -> None:
        """Look whether the run's folder is there, and where."""
        self._folders.pop(run, None)
        for place in self._places:
            if (place / _name(run)).is_dir():
                self._folders[run] = str(place / _name(run))
                return
        raise RelayError(
            f"FileRelay is not open for run {run} on this machine: P2PL opens it when its "
            "start() is called; devices on other machines need another relay"
        )


def _name(run: int | str) -> str:
    return f"p2pl-{os.getuid() if hasattr(os, 'getuid') else 'user'}-{run}"


def _file(key: str) -> str:
    return f"{quote(key, safe='')}.safetensors"


def _free(place: Path) -> int:
    return shutil.disk_usage(place).free if os.access(place, os.W_OK) else 0
