"""How long a device waits for its neighbors."""

from __future__ import annotations

from dataclasses import dataclass

from ...config import at_least, check_fields, described, option, within

_SECONDS = within("(0, inf)", "seconds")


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
        "tenth of a round's time, if that is less",
    )

    def __post_init__(self) -> None:
        check_fields(self)

    def enough(self, asked: int) -> int:
        """Return how many of ``asked`` neighbors are waited for."""
        return min(self.quorum, asked) if self.quorum else asked
