"""Which rounds a device can have missed: no more than there was time for."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

_FASTER = 2  # than this device's quickest round: what is believed of others' rounds
_KNOWN = 20


class Pace:
    """Judges by the time that has passed what one neighbor alone says of its round.

    Between two rounds of its own a device misses none. Only while it was asleep, or did not run,
    can others have gone ahead of it.

    Attributes
    ----------
    ended_at : float or None
        When the device's last round ended, in seconds of `time.time`; None before its first.
    """

    def __init__(self) -> None:
        self.ended_at: float | None = None
        self._seconds: list[float] = []
        self._asleep = 0.0

    def ended(self, seconds: float) -> None:
        """Note that a round is over, which took so long, sleep included."""
        usual = statistics.median(self._seconds) if self._seconds else seconds
        self._asleep = max(0.0, seconds - usual)
        self._go_on(time.time(), [*self._seconds, seconds])

    def restore(self, ended_at: float | None, seconds: Sequence[float | None]) -> None:
        """Go on from an earlier life, which made rounds of so many seconds."""
        self._go_on(ended_at, [s for s in seconds if s is not None])

    def latest(self, next_round: int) -> int:
        """Return the latest round that others can be in; the next one, before the first."""
        if self.ended_at is None or not self._seconds:
            return next_round
        idle = max(0.0, time.time() - self.ended_at) + self._asleep
        return next_round + int(_FASTER * idle / min(self._seconds))

    def _go_on(self, ended_at: float | None, seconds: Sequence[float]) -> None:
        self.ended_at = ended_at
        self._seconds = [max(s, 1e-3) for s in seconds][-_KNOWN:]
