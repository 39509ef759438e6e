"""How long a device waits for its neighbors."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import ConfigError


@dataclass(frozen=True)
class Waiting:
    """When a device goes on with the models that have arrived.

    Attributes
    ----------
    quorum : int
        As soon as so many neighbors' models are there; 0 waits for all of them.
    deadline : float
        After so many seconds in any case.
    grace : float
        Seconds given to a neighbor that could not be reached the last time.
    """

    quorum: int = 0
    deadline: float = 60.0
    grace: float = 1.0

    def __post_init__(self) -> None:
        if type(self.quorum) is not int or self.quorum < 0:
            raise ConfigError("quorum", self.quorum, "must be an integer, 0 (all) or larger")
        for name, value in (("deadline", self.deadline), ("grace", self.grace)):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < value < float("inf"):
                raise ConfigError(name, value, "must be a number of seconds above 0")

    def enough(self, asked: int) -> int:
        """Return how many of ``asked`` neighbors are waited for."""
        return min(self.quorum, asked) if self.quorum else asked
