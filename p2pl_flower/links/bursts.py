"""Losses that last: bursts on a link, and devices that go away for some rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..seeding import Stream, uniform
from .base import Links, Mask, as_text, check_seed, check_share, ends, everywhere
from .markov import TwoState


@dataclass(frozen=True)
class GilbertElliott(Links):
    """Bursts of losses: each link is in a good or a bad state, which may change once a round.

    With r = P(bad -> good) = 1 / burst and p = P(good -> bad) = r (1 - up_rate) / up_rate,
    bad runs last ``burst`` rounds in the mean, and a link is good in the share
    r / (p + r) = up_rate of all rounds. Each step loses the message with probability
    ``loss_good`` or ``loss_bad``, so that in the long run the share
    up_rate (1 - loss_good) + (1 - up_rate) (1 - loss_bad) of all messages arrives.

    Parameters
    ----------
    up_rate : float
        Long-run share of rounds in the good state, in (0, 1]; ``up`` in text.
    burst : float
        Mean length of a bad run in rounds, at least max(1, (1 - up_rate) / up_rate).
    loss_good, loss_bad : float
        Probability that a step loses the message in the good and in the bad state.
    seed : int
        Seed of everything.

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

    up_rate: float
    burst: float = 5.0
    loss_good: float = 0.0
    loss_bad: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_share("up", self.up_rate, valid=0 < self.up_rate <= 1, interval="(0, 1]")
        for key in ("loss_good", "loss_bad"):
            loss = getattr(self, key)
            check_share(key, loss, valid=0 <= loss <= 1, interval="[0, 1]")
        self._chain.check_run("burst")
        check_seed(self.seed)

    @property
    def _chain(self) -> TwoState:
        return TwoState(self.up_rate, self.burst)

    def good(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike) -> Mask:
        """Return whether links are in the good state in a round."""
        return self._chain.state(self.seed, Stream.BURST, *ends(i, j), round_number=round_number)

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether u >= the state's loss probability, where u is uniform in [0, 1)."""
        loss = np.where(self.good(i, j, round_number), self.loss_good, self.loss_bad)
        # One coordinate more than Bernoulli has: these numbers must not be its own.
        u = uniform(self.seed, Stream.LOSS, *ends(i, j), round_number, step, 1)
        return u >= loss

    def spec(self) -> str:
        """Return the text from which `make_links` builds an equal object."""
        return as_text(
            "gilbert-elliott",
            up=self.up_rate,
            burst=self.burst,
            loss_good=self.loss_good,
            loss_bad=self.loss_bad,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Churn(Links):
    """Devices that go away for some rounds; a link is up where both ends are there.

    With r = P(away -> there) = 1 / absence and p = P(there -> away) = r away / (1 - away)
    in a round, absences last ``absence`` rounds in the mean, and a device is away in the
    share p / (p + r) = away of all rounds.

    Parameters
    ----------
    away : float
        Long-run share of rounds in which a device is away, in [0, 1).
    absence : float
        Mean length of an absence in rounds, at least max(1, away / (1 - away)).
    seed : int
        Seed of everything.

    Raises
    ------
    ConfigError
        An argument is out of range.
    """

    away: float
    absence: float = 5.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_share("away", self.away, valid=0 <= self.away < 1, interval="[0, 1)")
        self._chain.check_run("absence")
        check_seed(self.seed)

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

    def spec(self) -> str:
        """Return the text from which `make_links` builds an equal object."""
        return as_text("churn", away=self.away, absence=self.absence, seed=self.seed)
