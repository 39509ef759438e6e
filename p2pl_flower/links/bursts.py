"""Losses that last: bursts on a link, and devices that go away for some rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..config import check_fields, described, option, within
from ..seeding import Stream, uniform
from .base import ONE_WAY, SEED, Links, Mask, ends, everywhere
from .markov import TwoState


@described
@dataclass(frozen=True)
class GilbertElliott(Links):
    """Bursts of losses: each link is in a good or a bad state, which may change once a round.

    With r = P(bad -> good) = 1 / burst and p = P(good -> bad) = r (1 - up_rate) / up_rate,
    bad runs last ``burst`` rounds in the mean, and a link is good in the share
    r / (p + r) = up_rate of all rounds. Each step loses the message with probability
    ``loss_good`` or ``loss_bad``, so that in the long run the share
    up_rate (1 - loss_good) + (1 - up_rate) (1 - loss_bad) of all messages arrives.

    Raises
    ------
    ConfigError
        An argument is out of range.

    References
    ----------
    E. N. Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39,
    1960.
    E. O. Elliott, "Estimates of error rates for codes on burst-noise channels", Bell
    System Technical Journal 42, 1963.
    """

    up_rate: float = option(
        name="up",
        rule=within("(0, 1]"),
        help="long-run share of rounds in the good state; ``up`` in text",
    )
    burst: float = option(
        5.0, help="mean length of a bad run in rounds, at least max(1, (1 - up_rate) / up_rate)"
    )
    loss_good: float = option(
        0.0,
        rule=within("[0, 1]"),
        help="probability that a step loses the message in the good state",
    )
    loss_bad: float = option(1.0, rule=within("[0, 1]"), help="the same in the bad state")
    seed: int = SEED.field()
    one_way: bool = ONE_WAY.field()

    def __post_init__(self) -> None:
        check_fields(self)
        self._chain.check_run("burst")

    @property
    def symmetric(self) -> bool:
        """Whether each link is up both ways or not at all."""
        return not self.one_way

    @property
    def _chain(self) -> TwoState:
        return TwoState(self.up_rate, self.burst)

    def good(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike) -> Mask:
        """Return whether links are in the good state in a round."""
        return self._chain.state(
            self.seed, Stream.BURST, *ends(i, j, self.one_way), round_number=round_number
        )

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether u >= the state's loss probability, where u is uniform in [0, 1)."""
        loss = np.where(self.good(i, j, round_number), self.loss_good, self.loss_bad)
        # One coordinate more than Bernoulli has: these numbers must not be its own.
        u = uniform(self.seed, Stream.LOSS, *ends(i, j, self.one_way), round_number, step, 1)
        return u >= loss


@described
@dataclass(frozen=True)
class Churn(Links):
    """Devices that go away for some rounds; a link is up where both ends are there.

    With r = P(away -> there) = 1 / absence and p = P(there -> away) = r away / (1 - away)
    in a round, absences last ``absence`` rounds in the mean, and a device is away in the
    share p / (p + r) = away of all rounds.

    Raises
    ------
    ConfigError
        An argument is out of range.
    """

    away: float = option(
        rule=within("[0, 1)"), help="long-run share of rounds in which a device is away"
    )
    absence: float = option(
        5.0, help="mean length of an absence in rounds, at least max(1, away / (1 - away))"
    )
    seed: int = SEED.field()

    def __post_init__(self) -> None:
        check_fields(self)
        self._chain.check_run("absence")

    @property
    def _chain(self) -> TwoState:
        return TwoState(1 - self.away, self.absence)

    def present(self, i: ArrayLike, round_number: ArrayLike) -> Mask:
        """Return whether devices are there in a round."""
        return self._chain.state(self.seed, Stream.CHURN, i, round_number=round_number)

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether both ends are there; all steps of a round are alike."""
        both = self.present(i, round_number) & self.present(j, round_number)
        return both & everywhere(step)

    def tried(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return the same: who is away is sent nothing."""
        return self.up(i, j, round_number, step)
