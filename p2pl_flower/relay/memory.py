"""A relay within one process: for tests, notebooks and teaching."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

import numpy as np

from ..consensus import Model
from ..errors import RelayError
from .base import Mailbox, Relay, Slot
from .parts import join, split
from .publications import Publication, Publications


class MemoryRelay(Relay):
    """Moves models between devices of one process.

    `P2PL` and `PeerApp` must be given the same instance.
    """

    def __init__(self) -> None:
        self._runs: dict[int, Publications[Model]] = {}
        self._lock = threading.Lock()

    def open(self, run: int) -> None:
        """Start with empty mailboxes."""
        self._runs[run] = Publications()

    def admit(self, run: int, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect from whom."""
        with self._lock:
            self._publications(run).admit(neighbors)

    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return a device's mailbox."""
        return _MemoryMailbox(device, self._publications(run), self._lock)

    def observe(self, run: int, channel: str) -> dict[int, Model]:
        """Return every device's newest publication."""
        with self._lock:
            publications = self._publications(run).newest(channel)
        return {device: join(*publication) for device, publication in publications.items()}

    def close(self, run: int) -> None:
        """Forget the run."""
        self._runs.pop(run, None)

    def _publications(self, run: int) -> Publications[Model]:
        if run not in self._runs:
            raise RelayError(
                f"MemoryRelay is not open for run {run}: give P2PL(relay=...) and "
                "PeerApp(relay=...) the same instance, within one process"
            )
        return self._runs[run]


class _MemoryMailbox(Mailbox):
    def __init__(
        self, device: int, publications: Publications[Model], lock: threading.Lock
    ) -> None:
        super().__init__(device)
        self._publications, self._lock = publications, lock

    def publish(self, slot: Slot, model: Model, private: Collection[str] = ()) -> None:
        copy = {name: np.array(array) for name, array in model.items()}
        for array in copy.values():
            array.flags.writeable = False
        with self._lock:
            self._publications.put(self.device, slot, Publication(*split(copy, private)))

    def recall(self, channel: str) -> list[tuple[Slot, Model]]:
        with self._lock:
            kept = self._publications.own(self.device, channel)
        return [(slot, join(*publication)) for slot, publication in kept]

    def _take(self, senders: list[int], slot: Slot) -> dict[int, Model]:
        with self._lock:
            found = self._publications.take(self.device, senders, slot)
        return {sender: join(*publication) for sender, publication in found.items()}
