"""Links that need no memory: perfect ones, and independent losses."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

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
