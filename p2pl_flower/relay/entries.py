"""What a relay does, made of entries under names: all of it from `put` and `get` alone.

These are the entries of a run:

=============================== ===================================================
``neighbors``                   the devices of the run, and who may collect from whom
``DEVICE``                      the slots that a device's mailbox keeps, by channel
``DEVICE/CHANNEL/ROUND/STEP``   what neighbors may have of a publication
``.../private``                 what they may not
=============================== ===================================================

Only a device itself writes its entries, and only the strategy the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..named_arrays import Model
from .mailbox import Slot
from .parts import join

_NEIGHBORS = "neighbors"
_DEVICES, _READERS, _SENDERS = "devices", "readers", "senders"


class Entries(Protocol):
    """Where entries are kept: see `Relay.put` and `Relay.get`."""

    def put(self, run: int, key: str, arrays: Model | None) -> None:
        """Keep arrays under a key; None forgets them."""

    def get(self, run: int, key: str) -> Model | None:
        """Return the arrays under a key; None where there are none."""


class RunEntries:
    """The entries of one run.

    Parameters
    ----------
    entries : Entries
        Where they are kept.
    run : int
        The run.
    """

    def __init__(self, entries: Entries, run: int) -> None:
        self._entries, self._run = entries, run

    def is_open(self) -> bool:
        """Return whether the run has been opened, and not been forgotten since."""
        return self._get(_NEIGHBORS) is not None

    def admit(self, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect from each device, from now on."""
        devices = sorted({*self.devices(), *neighbors})
        pairs = sorted((reader, sender) for sender, ids in neighbors.items() for reader in ids)
        readers, senders = np.array(pairs, np.int64).reshape(-1, 2).T.copy()
        ids = np.array(devices, np.int64)
        self._put(_NEIGHBORS, {_DEVICES: ids, _READERS: readers, _SENDERS: senders})

    def devices(self) -> list[int]:
        """Return all devices that have been admitted so far."""
        known = self._get(_NEIGHBORS)
        return [] if known is None else known[_DEVICES].tolist()

    def senders_to(self, reader: int) -> list[int]:
        """Return the devices from which one may collect."""
        known = self._get(_NEIGHBORS)
        if known is None:
            return []
        low, high = np.searchsorted(known[_READERS], [reader, reader + 1])  # they are in order
        senders: list[int] = known[_SENDERS][low:high].tolist()
        return senders

    def index(self, device: int) -> dict[str, list[Slot]]:
        """Return the slots that a device keeps, by channel, oldest first."""
        places = self._get(str(device)) or {}
        return {channel: [Slot(channel, *p) for p in a.tolist()] for channel, a in places.items()}

    def set_index(self, device: int, index: Mapping[str, list[Slot]]) -> None:
        """Set the slots that a device keeps."""
        places = {channel: [slot[1:] for slot in slots] for channel, slots in index.items()}
        self._put(str(device), {channel: np.array(p, np.int64) for channel, p in places.items()})

    def put(self, device: int, slot: Slot, public: Model, private: Model | None) -> None:
        """Keep a publication; the index is yet to name it."""
        self._put(_private(device, slot), private)  # first: what is public is complete
        self._put(_public(device, slot), public)

    def public(self, device: int, slot: Slot) -> Model | None:
        """Return what neighbors may have of a publication; None where there is none."""
        return self._get(_public(device, slot))

    def own(self, device: int, slot: Slot) -> Model | None:
        """Return all of a publication, for its device; None where there is none."""
        public = self.public(device, slot)
        return None if public is None else join(public, self._get(_private(device, slot)))

    def newest(self, channel: str) -> dict[int, Model]:
        """Return every device's newest publication of a channel, in order of devices."""
        slots = {device: self.index(device).get(channel) for device in self.devices()}
        found = {device: self.own(device, kept[-1]) for device, kept in slots.items() if kept}
        return {device: model for device, model in found.items() if model is not None}

    def forget_slot(self, device: int, slot: Slot) -> None:
        """Forget a publication."""
        self._put(_public(device, slot), None)
        self._put(_private(device, slot), None)

    def forget(self) -> None:
        """Forget everything about the run."""
        for device in self.devices():
            for slot in itertools.chain.from_iterable(self.index(device).values()):
                self.forget_slot(device, slot)
            self._put(str(device), None)
        self._put(_NEIGHBORS, None)

    def _put(self, key: str, arrays: Model | None) -> None:
        self._entries.put(self._run, key, arrays)

    def _get(self, key: str) -> Model | None:
        arrays = self._entries.get(self._run, key)
        return None if arrays is None else {n: _read_only(a) for n, a in arrays.items()}


def _public(device: int, slot: Slot) -> str:
    return f"{device}/{slot.channel}/{slot.round}/{slot.step}"


def _private(device: int, slot: Slot) -> str:
    return f"{_public(device, slot)}/private"


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array
