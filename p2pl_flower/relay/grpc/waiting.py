"""How long a device waits for its neighbors."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from ...config import at_least, check_fields, described, option, within

_SECONDS = within("(0, inf)", "seconds")
_STEPS, _LEAST_STEPS = 8, 3
_SHARE = 0.1  # of a round's time: how long those that are absent may be waited for


@described
@dataclass(frozen=True)
class Waiting:
    """When a device goes on with the models that have arrived."""

    quorum: int = option(
        0,
        rule=at_least(0),
        help="go on as soon as so many neighbors' models are there; 0 waits for all",
    )
    deadline: float = option(60.0, rule=_SECONDS, help="seconds after which to go on in any case")
    grace: float = option(
        1.0,
        rule=_SECONDS,
        help="seconds for a neighbor that could not be reached the last time, or was late; a "
        "tenth of a round's time for all consensus steps, if that is less",
    )

    adapt: float = option(
        0.0,
        rule=within("[0, inf)"),
        help="go on after so many times what the slowest neighbor in time took in the last 8 "
        "consensus steps, if that is sooner than `deadline`, and after `grace` at the soonest; 0 "
        "keeps to `deadline`",
    )

    def __post_init__(self) -> None:
        check_fields(self)

    def enough(self, asked: int) -> int:
        """Return how many of ``asked`` neighbors are waited for."""
        return min(self.quorum, asked) if self.quorum else asked


class RoundTimes:
    """How long a device's rounds take, and how often it asks its neighbors in one.

    Parameters
    ----------
    seconds : float
        What a round is taken to last before one is over.
    """

    def __init__(self, seconds: float) -> None:
        self._apart: deque[float] = deque([seconds], maxlen=_STEPS)
        self._round, self._begun, self._asked = 0, time.monotonic(), 0

    def ask(self, number: int) -> float:
        """Note that neighbors are asked in a round; return seconds for those that are absent.

        All that are asked for in a round share a tenth of what the shortest of the last rounds
        took: in others somebody was waited for.
        """
        now = time.monotonic()
        if number != self._round:
            if self._round:
                self._apart.append((now - self._begun) / self._asked)
            self._round, self._begun, self._asked = number, now, 0
        self._asked += 1
        return _SHARE * min(self._apart)


class Usual:
    """What neighbors took lately, from which a deadline follows that adapts to them."""

    def __init__(self) -> None:
        self._longest: deque[float] = deque(maxlen=_STEPS)

    def note(self, seconds: float) -> None:
        """Note after how many seconds the last of those came that were in time."""
        self._longest.append(seconds)

    def deadline(self, waiting: Waiting) -> float:
        """Return the seconds after which to go on."""
        if not waiting.adapt or len(self._longest) < _LEAST_STEPS:
            return waiting.deadline
        return min(waiting.deadline, max(waiting.grace, waiting.adapt * max(self._longest)))
