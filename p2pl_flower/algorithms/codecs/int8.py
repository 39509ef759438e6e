"""Numbers as multiples of a scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...config import at_least, check_fields, option
from ..base import library_of
from .array_functions import blocks_of, cast, dtype_name, wide
from .base import ArrayCodec, StepKey

_LEVELS = 127


@dataclass(frozen=True)
class Int8(ArrayCodec):
    r"""Each number as a multiple of its block's scale, in 1 byte.

    .. math:: s = \max_{i \in \text{block}} |x_i| / 127, \qquad
              c_i = \mathrm{round}(x_i / s), \qquad \hat{x}_i = s c_i

    with ties to even, so that no number is off by more than s / 2. Scales are of single precision,
    of double for arrays that are. A block with a NaN or an infinity in it becomes NaN.

    Parameters
    ----------
    block : int
        How many neighboring numbers of an array have one scale; the last block may have fewer.
    """

    block: int = option(256, rule=at_least(1), help="numbers that have one scale")

    def __post_init__(self) -> None:
        check_fields(self)

    def pack(self, values: Any, key: StepKey, name: str) -> dict[str, Any]:
        """Return the scales, shape (..., blocks), and the multiples, (..., n)."""
        library, size, lead = library_of(values), values.shape[-1], tuple(values.shape[:-1])
        rows = blocks_of(wide(values), self.block)
        largest = library.amax(abs(rows), -1)
        scales = largest / library.full_like(largest, _LEVELS)
        usable = library.isfinite(scales) & (scales > 0)
        divisors = library.where(usable, scales, library.ones_like(scales))[..., None]
        multiples = library.round(library.where(usable[..., None], rows / divisors, 0 * divisors))
        codes = cast(multiples.clip(-_LEVELS, _LEVELS), "int8")
        return {
            "scales": scales,
            "codes": codes.reshape((*lead, rows.shape[-2] * self.block))[..., :size],
        }

    def unpack(self, parts: Mapping[str, Any], size: int, key: StepKey, name: str) -> Any:
        """Return the multiples of the scales."""
        scales, rows = parts["scales"], blocks_of(parts["codes"], self.block)
        with np.errstate(invalid="ignore", over="ignore"):  # of scales that are no numbers
            numbers = cast(rows, dtype_name(scales)) * scales[..., None]
        return numbers.reshape((*numbers.shape[:-2], rows.shape[-2] * self.block))[..., :size]
