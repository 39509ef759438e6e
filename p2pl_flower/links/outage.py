"""Devices that are all away at once, for some rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..config import at_least, check_fields, described, option, within
from ..errors import ConfigError
from ..seeding import Stream, uniform
from .base import SEED, Links, Mask, everywhere


@described
@dataclass(frozen=True)
class Outage(Links):
    """Some devices are away from one round to another, all of them; before and after, none is.

    Raises
    ------
    ConfigError
        An argument is out of range.
    """

    first: int = option(rule=at_least(1), help="the first round in which they are away")
    last: int = option(rule=at_least(1), help="the last one")
    share: float = option(
        rule=within("[0, 1]"), help="probability that a device is one of them, drawn once"
    )
    seed: int = SEED.field()

    def __post_init__(self) -> None:
        check_fields(self)
        if self.last < self.first:
            raise ConfigError("last", self.last, f"must be at least first={self.first}")

    def present(self, i: ArrayLike, round_number: ArrayLike) -> Mask:
        """Return whether devices are there in a round."""
        number = np.asarray(round_number)
        during = (number >= self.first) & (number <= self.last)
        return ~((uniform(self.seed, Stream.OUTAGE, i) < self.share) & during)

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether both ends are there; all steps of a round are alike."""
        both = self.present(i, round_number) & self.present(j, round_number)
        return both & everywhere(step)

    def tried(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return the same: who is away is sent nothing."""
        return self.up(i, j, round_number, step)
