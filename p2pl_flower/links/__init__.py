"""Who can talk when: lost messages, bursts of losses, and devices that go away.

Whether link (i, j) is up is a pure function of the seed, the round and the consensus
step, so both ends know it without asking anybody. Devices build the links from text, as
in ``bernoulli:up=0.5+churn:away=0.1``.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ConfigError
from ..specs import Table
from .base import Links, Mask
from .bursts import Churn, GilbertElliott
from .losses import Bernoulli, Perfect, Periodic

__all__ = [
    "LINKS",
    "All",
    "Bernoulli",
    "Churn",
    "GilbertElliott",
    "Links",
    "Perfect",
    "Periodic",
    "make_links",
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

    def present(self, i: ArrayLike, round_number: ArrayLike) -> Mask:
        """Return whether all parts say that devices are there."""
        masks = [part.present(i, round_number) for part in self.parts]
        return np.asarray(np.logical_and.reduce(masks))

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether all parts say that links are up."""
        masks = [part.up(i, j, round_number, step) for part in self.parts]
        return np.asarray(np.logical_and.reduce(masks))

    def spec(self) -> str:
        """Return the texts of the parts, joined by ``+``."""
        return "+".join(part.spec() for part in self.parts)


def _bernoulli(up: float, seed: int = 0) -> Links:
    return Bernoulli(up, seed)


def _gilbert_elliott(
    up: float, burst: float = 5.0, loss_good: float = 0.0, loss_bad: float = 1.0, seed: int = 0
) -> Links:
    return GilbertElliott(up, burst, loss_good, loss_bad, seed)


# A field cannot be named as the method `up` is, so two have a function for their text.
LINKS: Table[Links] = Table(
    "links",
    {
        "perfect": Perfect,
        "periodic": Periodic,
        "bernoulli": _bernoulli,
        "gilbert-elliott": _gilbert_elliott,
        "churn": Churn,
    },
)


def make_links(text: str | Links, seed: int) -> Links:
    """Return the links that ``text`` describes: one of `LINKS`, or several joined by ``+``.

    Parameters
    ----------
    text : str or Links
        Links already made are returned as they are, with the seed they have.
    seed : int
        Seed of everything, for every part whose text gives none.

    Raises
    ------
    ConfigError
        The text names no links, or a value is out of range.
    """
    if isinstance(text, Links):
        return text
    parts = tuple(_part(part, seed) for part in text.split("+"))
    try:
        return parts[0] if len(parts) == 1 else All(parts)
    except ConfigError as error:
        raise ConfigError(LINKS.option, text, error.rule) from None


def _part(text: str, seed: int) -> Links:
    factory, arguments = LINKS.bind(text)
    if "seed" in inspect.signature(factory).parameters:
        arguments.setdefault("seed", seed)
    try:
        return factory(**arguments)
    except ConfigError as error:
        raise LINKS.blame(text, error) from None
