"""The largest numbers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...config import check_fields, option, within
from ...named_arrays import check_positions
from ..base import library_of
from .array_functions import cast, kth_largest, places, spread, taken
from .base import ArrayCodec, StepKey


@dataclass(frozen=True)
class TopK(ArrayCodec):
    """Of each array the numbers that are largest in absolute value, and where they are.

    The others are 0. Of equal ones the first are sent; NaNs go first. Positions take 1, 2 or 4
    bytes, as the array needs. Biased: naive averaging of what is left of models does not bring them
    together, so that a memory of what was not sent is wanted (see `p2pl_flower.Options`).

    Parameters
    ----------
    fraction : float
        Share of an array's numbers that is sent, in (0, 1]; rounded up, so that it is one at least.
    """

    fraction: float = option(0.1, rule=within("(0, 1]"), help="share of the numbers that is sent")

    def __post_init__(self) -> None:
        check_fields(self)

    def pack(self, values: Any, key: StepKey, name: str) -> dict[str, Any]:
        """Return the numbers, and their positions, ascending; both of shape (..., k)."""
        size = values.shape[-1]
        positions = places(self._mask(values), count_of(self.fraction, size))
        if library_of(values) is np:
            positions = cast(positions, _position_type(size))
        return {"values": taken(values, positions), "positions": positions}

    def unpack(self, parts: Mapping[str, Any], size: int, key: StepKey, name: str) -> Any:
        """Return the numbers at their positions."""
        positions = parts["positions"]
        if isinstance(positions, np.ndarray):
            check_positions(name, positions, size)
        return spread(parts["values"], positions, size)

    def reduced(self, values: Any, key: StepKey, name: str) -> Any:
        """Return the numbers with zeros where nothing is sent."""
        library = library_of(values)
        return library.where(self._mask(values), values, library.zeros_like(values))

    def _mask(self, values: Any) -> Any:
        """Return which numbers are sent."""
        library, size = library_of(values), values.shape[-1]
        count = count_of(self.fraction, size)
        sizes = library.where(library.isnan(values), math.inf, abs(values))
        if count == size:
            return sizes >= 0
        least = kth_largest(sizes, count)
        mask, equal = sizes > least, sizes == least
        wanted = count - mask.sum(-1)[..., None]
        if (equal.sum(-1)[..., None] == wanted).all():
            return mask | equal
        return mask | (equal & (equal.cumsum(-1) <= wanted))


def count_of(fraction: float, size: int) -> int:
    """Return how many numbers of an array are sent."""
    return min(size, max(1, math.ceil(fraction * size - 1e-9)))


def _position_type(size: int) -> str:
    return next(kind for kind in ("uint8", "uint16", "uint32") if size <= np.iinfo(kind).max + 1)
