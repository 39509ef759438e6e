"""A relay within one process: for tests, notebooks and teaching."""

from __future__ import annotations

from ..named_arrays import Model
from .base import Relay


class MemoryRelay(Relay):
    """Moves models between devices of one process.

    `P2PL` and `PeerApp` must be given the same instance.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[int, str], Model] = {}

    def put(self, run: int, key: str, arrays: Model | None) -> None:
        """Keep arrays in a dictionary."""
        if arrays is None:
            self._entries.pop((run, key), None)
        else:
            self._entries[run, key] = arrays

    def get(self, run: int, key: str) -> Model | None:
        """Look them up."""
        return self._entries.get((run, key))
