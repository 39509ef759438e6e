"""Links that need no memory: perfect ones, periodic ones, and independent losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..config import at_least, check_fields, described, option, within
from ..seeding import Stream, uniform
from .base import ONE_WAY, SEED, Links, Mask, ends, everywhere


@dataclass(frozen=True)
class Perfect(Links):
    """Nothing is ever lost, and every device is always there."""

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return True for every link."""
        return everywhere(i, j, round_number, step)


@described
@dataclass(frozen=True)
class Periodic(Links):
    """Sparse communication: all links are up in every n-th round, and in no other.

    Synchronization, before round 1, is not concerned. With it, devices train alone for n
    rounds and then mix: local SGD with periodic averaging, on a graph.

    Raises
    ------
    ConfigError
        ``every`` is out of range.
    """

    every: int = option(
        rule=at_least(1),
        help="rounds from one in which links are up to the next; the first is ``every``",
    )

    def __post_init__(self) -> None:
        check_fields(self)

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether the round is one in which links are up."""
        due = np.asarray(round_number) % self.every == 0
        before = np.asarray(step) == 0  # steps of rounds count from 1
        return np.asarray(everywhere(i, j, round_number, step) & (due | before))

    def tried(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return the same: nothing is sent in between."""
        return self.up(i, j, round_number, step)


@described
@dataclass(frozen=True)
class Bernoulli(Links):
    """Independent losses: P(link up) = ``up_rate``, anew for each link, round and step.

    Synonyms: i.i.d. packet loss, binary erasure channel.

    Raises
    ------
    ConfigError
        An argument is out of range.
    """

    up_rate: float = option(
        name="up", rule=within("(0, 1]"), help="probability that a link is up; ``up`` in text"
    )
    seed: int = SEED.field()
    one_way: bool = ONE_WAY.field()

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def symmetric(self) -> bool:
        """Whether each link is up both ways or not at all."""
        return not self.one_way

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether u < up_rate, where u is uniform in [0, 1) and new each time."""
        u = uniform(self.seed, Stream.LOSS, *ends(i, j, self.one_way), round_number, step)
        return u < self.up_rate
