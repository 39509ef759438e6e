"""Numbers at random, the same ones on all devices."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config import check_fields, option, within
from ...seeding import Stream, generator
from ..base import library_of
from .array_functions import dtype_name, zeros
from .base import ArrayCodec, StepKey
from .top_k import count_of


@dataclass(frozen=True)
class RandomK(ArrayCodec):
    """Of each array some numbers at random, drawn alike on all devices, anew in each step.

    No positions are sent. A step mixes these numbers as it would without a codec and leaves the
    others as they are: so it needs no memory, and equal weights keep the mean to the last bit
    of rounding. It takes about 1 / fraction steps to do what one step does without a codec.

    Parameters
    ----------
    fraction : float
        Share of an array's numbers that is sent, in (0, 1]; rounded up, so that it is one at least.
    """

    fraction: float = option(0.1, rule=within("(0, 1]"), help="share of the numbers that is sent")

    def __post_init__(self) -> None:
        check_fields(self)

    def pack(self, values: Any, key: StepKey, name: str) -> dict[str, Any]:
        """Return the numbers that are drawn, shape (..., k)."""
        return {"values": values[..., self._positions(values, values.shape[-1], key, name)]}

    def unpack(self, parts: Mapping[str, Any], size: int, key: StepKey, name: str) -> Any:
        """Return the numbers where they were drawn from."""
        values = parts["values"]
        rows = zeros(values, (*values.shape[:-1], size), dtype_name(values))
        rows[..., self._positions(values, size, key, name)] = values
        return rows

    def reduced(self, values: Any, key: StepKey, name: str) -> Any:
        """Return the numbers with zeros where none is drawn."""
        library, size = library_of(values), values.shape[-1]
        drawn = zeros(values, (size,), "bool")
        drawn[self._positions(values, size, key, name)] = True
        return library.where(drawn, values, library.zeros_like(values))

    def _positions(self, like: Any, size: int, key: StepKey, name: str) -> Any:
        """Return which numbers of an array are drawn, ascending, in an array's library."""
        drawn, library = drawn_positions(self.fraction, size, key, name), library_of(like)
        return drawn if library is np else library.from_numpy(drawn).to(like.device)


def drawn_positions(fraction: float, size: int, key: StepKey, name: str) -> NDArray[np.int64]:
    """Return the positions that all devices draw for an array in a step."""
    draw = generator(key.seed, Stream.CODEC, key.round, key.step, zlib.crc32(name.encode()))
    return np.sort(draw.permutation(size)[: count_of(fraction, size)]).astype(np.int64)
