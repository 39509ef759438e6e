"""Some of the arrays in each round."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ...config import at_least, check_fields, one_of, option
from ...named_arrays import Layout
from ...seeding import Stream, generator
from ..base import Arrays
from .array_functions import zeros
from .base import Codec, StepKey, layout_of


@dataclass(frozen=True)
class Partial(Codec):
    """The arrays are dealt into parts of about the same size, and each round sends one of them.

    The other arrays are not mixed in that round. A model with one array much larger than the rest
    gains little on average.

    Parameters
    ----------
    parts : int
        How many there are; as many as arrays at most.
    order : str
        ``rotating``: one after the other; ``random``: one at random, the same on all devices.
    """

    parts: int = option(2, rule=at_least(1), help="parts that the arrays are dealt into")
    order: str = option(
        "rotating", rule=one_of("rotating", "random"), help="which part is sent in a round"
    )

    def __post_init__(self) -> None:
        check_fields(self)

    def encode(self, message: Arrays, key: StepKey, shape: tuple[int, ...] = ()) -> dict[str, Any]:
        """Return the arrays whose turn it is."""
        turn = self.turn(layout_of(message, shape), key)
        return {f"array/{name}": array for name, array in message.items() if name in turn}

    def decode(
        self, encoded: Arrays, layout: Layout, key: StepKey, shape: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Return the arrays whose turn it is, and zeros for the others."""
        some = next(iter(encoded.values()))
        turn = self.turn(layout, key)
        return {
            name: encoded[f"array/{name}"] if name in turn else zeros(some, (*shape, *one), kind)
            for name, (one, kind) in layout.items()
        }

    def encoded_layout(self, layout: Layout, key: StepKey) -> Layout:
        """Return the layout of the arrays whose turn it is."""
        turn = self.turn(layout, key)
        return {f"array/{name}": entry for name, entry in layout.items() if name in turn}

    def turn(self, layout: Layout, key: StepKey) -> set[str]:
        """Return the names of the arrays that a round sends."""
        count = min(self.parts, len(layout))
        if self.order == "rotating":
            number = (key.round - 1) % count
        else:
            number = int(generator(key.seed, Stream.CODEC, key.round).integers(count))
        return _dealt(layout, count)[number]


def _dealt(layout: Layout, count: int) -> list[set[str]]:
    """Deal arrays into parts: the largest first, each to the part that has least so far."""
    parts: list[set[str]] = [set() for _ in range(count)]
    sizes = [(0, 0, place) for place in range(count)]
    for name in sorted(layout, key=lambda n: (-math.prod(layout[n][0]), n)):
        numbers, arrays, place = min(sizes)
        parts[place].add(name)
        sizes[place] = (numbers + math.prod(layout[name][0]), arrays + 1, place)
    return parts
