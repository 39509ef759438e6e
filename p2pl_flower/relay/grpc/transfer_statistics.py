"""What became of every answer: counted by neighbor, and logged when it is first of its kind."""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict

from .protocol import Refusal

log = logging.getLogger("flwr.p2pl")

STRANGERS, _MOST_COUNTED = -1, 1000
_EXPECTED = frozenset({Refusal.LATE, Refusal.ABSENT, Refusal.GONE})


class TransferStatistics:
    """Counts answers and refusals by neighbor.

    Parameters
    ----------
    device : int
        Whose statistics it is, for the log.
    """

    def __init__(self, device: int) -> None:
        self._device = device
        self._counts: dict[int, Counter[str]] = defaultdict(Counter)
        self._lock = threading.Lock()

    def arrived(self, neighbor: int, stale: bool = False) -> None:
        """Count a model that was taken, and whether it is of another round than was asked for."""
        with self._lock:
            self._counts[neighbor]["arrived"] += 1
            if stale:
                self._counts[neighbor]["stale"] += 1

    def given(self, neighbor: int) -> None:
        """Count a model that a neighbor has fetched from here."""
        with self._lock:
            self._counts[neighbor]["given"] += 1

    def refused(self, neighbor: int, refusal: Refusal, reason: str) -> None:
        """Count a refusal, in whichever direction, and log the first of its kind."""
        with self._lock:
            neighbor = neighbor if self._is_counted(neighbor) else STRANGERS
            self._counts[neighbor][refusal.value] += 1
            first = self._counts[neighbor][refusal.value] == 1
        level = logging.WARNING if first else logging.DEBUG
        if refusal is Refusal.LATE:
            level = logging.INFO if first else logging.DEBUG
        text = "device %d: neighbor %d is %s" if refusal in _EXPECTED else ""
        text = text or "device %d: refused neighbor %d (%s)"
        log.log(level, f"{text}: %s", self._device, neighbor, refusal.value, reason)

    def _is_counted(self, neighbor: int) -> bool:
        """Return whether a neighbor gets a count of its own: anybody may call itself anything."""
        return neighbor in self._counts or len(self._counts) < _MOST_COUNTED

    def counts(self) -> dict[int, dict[str, int]]:
        """Return all counts so far: by neighbor, then by what happened."""
        with self._lock:
            return {j: dict(sorted(c.items())) for j, c in sorted(self._counts.items())}
