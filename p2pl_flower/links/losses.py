"""Links that need no memory: perfect ones, periodic ones, and independent losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ConfigError
from ..seeding import Stream, uniform
from .base import Links, Mask, as_text, check_seed, check_share, ends, everywhere


@dataclass(frozen=True)
class Perfect(Links):
    """Nothing is ever lost, and every device is always there."""

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return True for every link."""
        return everywhere(i, j, round_number, step)

    def spec(self) -> str:
        """Return the text from which `make_links` builds an equal object."""
        return "perfect"


@dataclass(frozen=True)
class Periodic(Links):
    """Sparse communication: all links are up in every n-th round, and in no other.

    Synchronization, before round 1, is not concerned. With it, devices train alone for n
    rounds and then mix: local SGD with periodic averaging, on a graph.

    Parameters
    ----------
    every : int
        Rounds from one in which links are up to the next, 1 or more; the first is ``every``.

    Raises
    ------
    ConfigError
        ``every`` is out of range.
    """

    every: int

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError("every", self.every, "must be 1 or more")

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether the round is one in which links are up."""
        due = np.asarray(round_number) % self.every == 0
        before = np.asarray(step) == 0  # steps of rounds count from 1
        return np.asarray(everywhere(i, j, round_number, step) & (due | before))

    def spec(self) -> str:
        """Return the text from which `make_links` builds an equal object."""
        return as_text("periodic", every=self.every)


@dataclass(frozen=True)
class Bernoulli(Links):
    """Independent losses: P(link up) = ``up_rate``, anew for each link, round and step.

    Synonyms: i.i.d. packet loss, binary erasure channel.

    Parameters
    ----------
    up_rate : float
        Probability that a link is up, in (0, 1]; ``up`` in text.
    seed : int
        Seed of everything.

    Raises
    ------
    ConfigError
        An argument is out of range.
    """

    up_rate: float
    seed: int = 0

    def __post_init__(self) -> None:
        check_share("up", self.up_rate, valid=0 < self.up_rate <= 1, interval="(0, 1]")
        check_seed(self.seed)

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether u < up_rate, where u is uniform in [0, 1) and new each time."""
        u = uniform(self.seed, Stream.LOSS, *ends(i, j), round_number, step)
        return u < self.up_rate

    def spec(self) -> str:
        """Return the text from which `make_links` builds an equal object."""
        return as_text("bernoulli", up=self.up_rate, seed=self.seed)
