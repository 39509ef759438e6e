"""Numbers as one of a few levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...config import Rule, at_least, check_fields, option
from ..base import library_of
from .array_functions import blocks_of, cast, dtype_name, sums, zeros
from .base import ArrayCodec, StepKey

_STEPS = {1: 1.596, 2: 0.9957, 4: 0.3352}
"""Distance of evenly spaced levels that suits a normal distribution of variance 1 best [1]_."""


@dataclass(frozen=True)
class LowBit(ArrayCodec):
    r"""Each number as the nearest of :math:`2^b` levels about 0, in b bits.

    .. math:: c_i \in \{\pm 1, \pm 3, \dots, \pm (2^b - 1)\}, \qquad
              s = \frac{\sum_i x_i c_i}{\sum_i c_i^2}, \qquad \hat{x}_i = s c_i

    for each block. Levels are chosen as suits normally distributed numbers of the block's mean
    square [1]_; their scale is then the best one. So :math:`\|\hat{x} - x\|` is less than
    :math:`\|x\|` whatever the numbers are: of normal ones, 1, 2 and 4 bits keep 64, 88 and 99 %
    of the square. With 1 bit these are signs, and s the mean absolute value. Scales are of single
    precision. A block with a NaN or an infinity in it becomes NaN.

    0 becomes one of the levels next to it: this is for what differs from copies that neighbors
    keep (``codec_memory="public-copies"``, ``algorithm="choco"``), not for models themselves.

    Parameters
    ----------
    bits : int
        b: 1, 2 or 4.
    block : int
        How many neighboring numbers of an array have one scale; the last block may have fewer.

    References
    ----------
    .. [1] J. Max, "Quantizing for minimum distortion", IRE Transactions on Information Theory 6,
       1960, table II.
    """

    bits: int = option(2, rule=Rule("1, 2 or 4", _STEPS.__contains__), help="of each number")
    block: int = option(256, rule=at_least(1), help="numbers that have one scale")

    def __post_init__(self) -> None:
        check_fields(self)

    def pack(self, values: Any, key: StepKey, name: str) -> dict[str, Any]:
        """Return the scales, shape (..., blocks), and the levels' numbers, 8 / b in a byte."""
        scales, levels = self._levels(values)
        places = (_joined(levels, values.shape[-1]) + (2**self.bits - 1)) / 2
        rows = cast(blocks_of(places, self._in_a_byte), "int64")
        packed = sum(rows[..., i] << self.bits * i for i in range(self._in_a_byte))
        return {"scales": scales, "levels": cast(packed, "uint8")}

    def unpack(self, parts: Mapping[str, Any], size: int, key: StepKey, name: str) -> Any:
        """Return the levels, by the blocks' scales."""
        packed, most = cast(parts["levels"], "int64"), 2**self.bits - 1
        rows = [(packed >> self.bits * i) & most for i in range(self._in_a_byte)]
        places = _joined(library_of(packed).stack(rows, -1), size)
        return _scaled(parts["scales"], blocks_of(2 * places - most, self.block), size)

    def reduced(self, values: Any, key: StepKey, name: str) -> Any:
        """Return the levels, by the blocks' scales."""
        return _scaled(*self._levels(values), values.shape[-1])

    @property
    def _in_a_byte(self) -> int:
        return 8 // self.bits

    def _levels(self, values: Any) -> tuple[Any, Any]:
        """Return the scales, (..., blocks), and the levels, odd integers, (..., blocks, block)."""
        library, most = library_of(values), 2**self.bits - 1
        rows = blocks_of(cast(values, "float32"), self.block)
        there = blocks_of(zeros(rows, (values.shape[-1],), "float32") + 1, self.block)
        with np.errstate(invalid="ignore", over="ignore"):  # of numbers that are none
            steps = cast(
                _STEPS[self.bits] * library.sqrt(sums(rows * rows) / sums(there)), "float32"
            )
            usable = library.isfinite(steps) & (steps > 0)
            divisors = library.where(usable, steps, library.ones_like(steps))[..., None]
            levels = 2 * library.floor(rows / divisors) + 1
            levels = library.where(usable[..., None], levels, there).clip(-most, most) * there
            scales = cast(sums(rows * levels) / sums(levels * levels), "float32")
        return scales, levels


def _scaled(scales: Any, levels: Any, size: int) -> Any:
    with np.errstate(invalid="ignore", over="ignore"):
        return _joined(cast(levels, dtype_name(scales)) * scales[..., None], size)


def _joined(blocks: Any, size: int) -> Any:
    """Return blocks, (..., blocks, block), as one axis of a size."""
    lead = tuple(blocks.shape[:-2])
    return blocks.reshape((*lead, blocks.shape[-2] * blocks.shape[-1]))[..., :size]
