"""A relay for devices of one machine: mailboxes are folders, models are files.

The files lie in shared memory where the machine has enough of it, so that publishing and
collecting are memory copies, with no process in between to ask.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ..consensus import Model
from ..errors import RelayError
from .base import KEPT, Mailbox, Relay, Slot
from .parts import join, split
from .tensors import DTYPES

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder of a run is ours alone
_ENOUGH_BYTES = 2**30

_PUBLIC, _PRIVATE = ".public", ".private"
_READERS, _OWNER = "readers.json", "owner"


class FileRelay(Relay):
    """Moves models between devices on one machine, in whatever processes they live.

    This is what `P2PL` and `PeerApp` use unless they are told otherwise: it suits Flower's
    simulation, and SuperNodes that share a machine. A simulation on a Ray cluster of several
    machines needs `RayRelay`.

    Parameters
    ----------
    folder : str or Path, optional
        Where the run's folder is made; shared memory if at least 1 GiB of it is free, else
        the folder for temporary files.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._places = [Path(folder)] if folder else [_SHARED_MEMORY, Path(tempfile.gettempdir())]

    def open(self, run: int) -> None:
        """Make the run's folder, for this user alone."""
        roomy = [place for place in self._places[:-1] if _free(place) >= _ENOUGH_BYTES]
        place = [*roomy, self._places[-1]][0]
        _sweep(place)
        try:
            (place / _name(run)).mkdir(mode=0o700)
            (place / _name(run) / _OWNER).write_text(str(os.getpid()), encoding="utf-8")
        except OSError as error:
            raise RelayError(f"FileRelay cannot keep run {run} in {place}: {error}") from None
        self.admit(run, {})

    def admit(self, run: int, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect from whom."""
        readers = {device: sorted(ids) for device, ids in neighbors.items()}
        path = self._folder(run) / _READERS
        _replace(path, lambda part: part.write_text(json.dumps(readers), encoding="utf-8"))

    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return a device's mailbox, from any process of this machine."""
        return _FileMailbox(device, self._folder(run))

    def observe(self, run: int, channel: str) -> dict[int, Model]:
        """Return every device's newest publication."""
        folder = self._folder(run)
        devices = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
        kept = {d: _slots(folder / str(d), channel) for d in devices}
        return {d: _read_own(folder / str(d), slots[-1]) for d, slots in kept.items() if slots}

    def close(self, run: int) -> None:
        """Remove the run's folder and all that is in it."""
        for place in self._places:
            shutil.rmtree(place / _name(run), ignore_errors=True)

    def _folder(self, run: int) -> Path:
        for place in self._places:
            if (place / _name(run)).is_dir():
                return place / _name(run)
        raise RelayError(
            f"FileRelay is not open for run {run} on this machine: P2PL opens it when its "
            "start() is called; devices on other machines need another relay"
        )


class _FileMailbox(Mailbox):
    def __init__(self, device: int, folder: Path) -> None:
        super().__init__(device)
        self._folder, self._own = folder, folder / str(device)

    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        self._own.mkdir(exist_ok=True)
        public, rest = split(model, private)
        if rest is not None:
            _write(self._own / _file(slot, _PRIVATE), rest)
        _write(self._own / _file(slot, _PUBLIC), public)
        for old in _slots(self._own, slot.channel)[:-KEPT]:
            (self._own / _file(old, _PUBLIC)).unlink()
            (self._own / _file(old, _PRIVATE)).unlink(missing_ok=True)

    def recall(self, channel: str) -> list[tuple[Slot, Model]]:
        slots = reversed(_slots(self._own, channel))
        return [(slot, _read_own(self._own, slot)) for slot in slots]

    def _take(self, senders: list[int], slot: Slot) -> dict[int, Model]:
        readers = _readers(self._folder / _READERS)
        found: dict[int, Model] = {}
        for sender in senders:
            with contextlib.suppress(FileNotFoundError):
                if sender == self.device:
                    found[sender] = _read_own(self._own, slot)
                elif self.device in readers.get(sender, ()):
                    found[sender] = _read(self._folder / str(sender) / _file(slot, _PUBLIC))
        return found


def _name(run: int) -> str:
    return f"p2pl-{os.getuid() if hasattr(os, 'getuid') else 'user'}-{run}"


def _file(slot: Slot, kind: str) -> str:
    return f"{slot.channel}-{slot.round:09d}-{slot.step:06d}{kind}"


def _slots(own: Path, channel: str) -> list[Slot]:
    """Return the slots that a mailbox keeps of a channel, oldest first."""
    names = sorted(path.stem for path in own.glob(f"{channel}-*{_PUBLIC}"))
    return [Slot(channel, *map(int, name.rsplit("-", 2)[1:])) for name in names]


def _write(path: Path, model: Model) -> None:
    """Write a file that appears whole; names are numbered, since safetensors sorts them."""
    numbered = {
        f"{place:06d}{name}": np.ascontiguousarray(array).reshape(array.shape)
        for place, (name, array) in enumerate(model.items())
    }
    try:
        _replace(path, lambda part: save_file(numbered, part))
    except (OSError, SafetensorError, KeyError) as error:
        raise RelayError(f"cannot publish a model in {path.parent}: {error!r}") from None


def _read(path: Path) -> Model:
    """Map a safetensors file: its arrays are views of shared memory, not copies.

    The file is a header's length (8 bytes, little endian), the header (JSON), and the data.
    """
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    return {name[6:]: _view(data, start, header[name]) for name in sorted(header)}


def _view(data: mmap.mmap, start: int, entry: Mapping[str, Any]) -> NDArray[Any]:
    shape, begin = entry["shape"], start + entry["data_offsets"][0]
    dtype = DTYPES[entry["dtype"]]
    return np.frombuffer(data, dtype, math.prod(shape), begin).reshape(shape)


def _read_own(own: Path, slot: Slot) -> Model:
    private = own / _file(slot, _PRIVATE)
    return join(_read(own / _file(slot, _PUBLIC)), _read(private) if private.exists() else None)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside ``path``, then move there: readers see all of it, or what was before."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    write(part)
    part.replace(path)


def _readers(path: Path) -> dict[int, frozenset[int]]:
    return _parsed_readers(path, path.stat().st_mtime_ns, path.stat().st_ino)


@functools.lru_cache(maxsize=2)
def _parsed_readers(path: Path, _changed: int, _file_number: int) -> dict[int, frozenset[int]]:
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {int(device): frozenset(ids) for device, ids in entries.items()}


def _free(place: Path) -> int:
    return shutil.disk_usage(place).free if os.access(place, os.W_OK) else 0


def _sweep(place: Path) -> None:
    """Remove what runs of this user left behind that were killed."""
    for folder in place.glob(_name(0)[:-1] + "*"):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((folder / _OWNER).read_text(encoding="utf-8")), 0)
            continue
        if (folder / _OWNER).exists():
            shutil.rmtree(folder, ignore_errors=True)
