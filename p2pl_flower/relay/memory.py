"""A relay within one process: for tests, notebooks and teaching."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

import numpy as np

from ..consensus import Model
from ..errors import RelayError
from ..parts import join, split
from .base import Mailbox, Relay, Slot
from .post_office import Parcel, PostOffice


class MemoryRelay(Relay):
    """Moves models between devices of one process.

    `P2PL` and `PeerApp` must be given the same instance.
    """

    def __init__(self) -> None:
        self._offices: dict[int, PostOffice[Model]] = {}
        self._lock = threading.Lock()

    def open(self, run: int) -> None:
        """Start with empty mailboxes."""
        self._offices[run] = PostOffice()

    def admit(self, run: int, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect from whom."""
        with self._lock:
            self._office(run).admit(neighbors)

    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return a device's mailbox."""
        return _MemoryMailbox(device, self._office(run), self._lock)

    def observe(self, run: int, channel: str) -> dict[int, Model]:
        """Return every device's newest publication."""
        with self._lock:
            parcels = self._office(run).newest(channel)
        return {device: join(*parcel) for device, parcel in parcels.items()}

    def close(self, run: int) -> None:
        """Forget the run."""
        self._offices.pop(run, None)

    def _office(self, run: int) -> PostOffice[Model]:
        if run not in self._offices:
            raise RelayError(
                f"MemoryRelay is not open for run {run}: give P2PL(relay=...) and "
                "PeerApp(relay=...) the same instance, within one process"
            )
        return self._offices[run]


class _MemoryMailbox(Mailbox):
    def __init__(self, device: int, office: PostOffice[Model], lock: threading.Lock) -> None:
        super().__init__(device)
        self._office, self._lock = office, lock

    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        copy = {name: np.array(array) for name, array in model.items()}
        for array in copy.values():
            array.flags.writeable = False
        with self._lock:
            self._office.put(self.device, slot, Parcel(*split(copy, private)))

    def recall(self, channel: str) -> list[tuple[Slot, Model]]:
        with self._lock:
            kept = self._office.own(self.device, channel)
        return [(slot, join(*parcel)) for slot, parcel in kept]

    def _take(self, senders: list[int], slot: Slot) -> dict[int, Model]:
        with self._lock:
            found = self._office.take(self.device, senders, slot)
        return {sender: join(*parcel) for sender, parcel in found.items()}
