"""Who can talk when: lost messages, bursts of losses, and devices that go away.

Whether i hears j is a pure function of the seed, the round and the consensus
step, so both ends know it without asking anybody. Devices build the links from text, as
in ``bernoulli:up=0.5+churn:away=0.1``; see `LINKS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..config import Table
from ..errors import ConfigError
from .base import Links, Mask
from .bursts import Churn, GilbertElliott
from .function import FunctionLinks, LinkFunction
from .losses import Bernoulli, Perfect, Periodic
from .outage import Outage

__all__ = [
    "LINKS",
    "All",
    "Bernoulli",
    "Churn",
    "FunctionLinks",
    "GilbertElliott",
    "LinkFunction",
    "Links",
    "Outage",
    "Perfect",
    "Periodic",
]


@dataclass(frozen=True)
class All(Links):
    """Several impairments at once: a link is up where all parts say so.

    Parameters
    ----------
    parts : tuple[Links, ...]
        At least one. Two of a kind need seeds that differ, for with the same one they
        would lose the same messages.

    Raises
    ------
    ConfigError
        There is no part, or two of a kind have the same seed.
    """

    parts: tuple[Links, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ConfigError("parts", self.parts, "must be one at least; use Perfect() for none")
        seeded = [(type(part), part.seed) for part in self.parts if hasattr(part, "seed")]
        if len(set(seeded)) < len(seeded):
            rule = "two of a kind need seeds that differ; give one of them 'seed=...'"
            raise ConfigError("parts", self.parts, rule)

    @property
    def symmetric(self) -> bool:
        """Whether all parts are."""
        return all(part.symmetric for part in self.parts)

    def present(self, i: ArrayLike, round_number: ArrayLike) -> Mask:
        """Return whether all parts say that devices are there."""
        masks = [part.present(i, round_number) for part in self.parts]
        return np.asarray(np.logical_and.reduce(masks))

    def tried(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether all parts say that something is sent."""
        masks = [part.tried(i, j, round_number, step) for part in self.parts]
        return np.asarray(np.logical_and.reduce(masks))

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether all parts say that links are up."""
        masks = [part.up(i, j, round_number, step) for part in self.parts]
        return np.asarray(np.logical_and.reduce(masks))


LINKS: Table[Links] = Table(
    "links",
    {
        "perfect": Perfect,
        "periodic": Periodic,
        "bernoulli": Bernoulli,
        "gilbert-elliott": GilbertElliott,
        "churn": Churn,
        "outage": Outage,
    },
    group="p2pl_flower.links",
    base=(Links,),
    wrap=FunctionLinks,
    join=All,
    aliases={"up": "up_rate"},  # a field cannot be named as the method `up` is
)
"""A seed that a text does not give is ``LINKS.make``'s, the seed of everything."""
