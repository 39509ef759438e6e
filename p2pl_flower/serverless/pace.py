"""Which rounds a device can have missed: no more than there was time for."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

_FASTER = 2  # times as fast as this device's fastest round: what is believed of others'


class Pace:
    """Judges what neighbors say of their rounds by the time that has passed.

    Attributes
    ----------
    ended_at : float or None
        When the device's last round ended, in seconds of `time.time`; None before it has made one.
    """

    def __init__(self) -> None:
        self.ended_at: float | None = None
        self._seconds: list[float] = []

    def ended(self, seconds: float) -> None:
        """Note that a round is over that took so long."""
        self.ended_at = time.time()
        self._seconds = [*self._seconds[-20:], max(seconds, 1e-3)]

    def restore(self, ended_at: float | None, seconds: Sequence[float | None]) -> None:
        """Go on from an earlier life, which made rounds of so many seconds."""
        self.ended_at = ended_at
        self._seconds = [max(s, 1e-3) for s in seconds if s is not None][-20:]

    def latest(self, next_round: int) -> int | None:
        """Return the latest round that others can be in; None where that cannot be known.

        Between two rounds of its own a device misses none: only while it was asleep, or not
        running, can others have gone ahead of it by more than its own round took.
        """
        if self.ended_at is None or not self._seconds:
            return None
        idle = max(0.0, time.time() - self.ended_at)
        return next_round + int(_FASTER * idle / min(self._seconds))

    def latest_now(self, next_round: int, took: float) -> int | None:
        """Return the same after a round that took so long, sleep in it included."""
        if not self._seconds:
            return None
        asleep = max(0.0, took - statistics.median(self._seconds))
        return next_round + int(_FASTER * asleep / min(self._seconds))
