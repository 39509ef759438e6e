"""Brain floating point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base import library_of
from .array_functions import cast, dtype_name
from .base import ArrayCodec, StepKey

_SMALL = ("float16", "bfloat16")
_NAN = 0x7FC0


@dataclass(frozen=True)
class BFloat16(ArrayCodec):
    """Each number to 8 significant bits, in 2 bytes, with the range of single precision.

    Rounded to the nearest, ties to even, by way of single precision. What is sent is the upper half
    of a single-precision number's bits. Arrays of half precision are sent as they are.
    """

    def pack(self, values: Any, key: StepKey, name: str) -> dict[str, Any]:
        """Return the upper halves."""
        if dtype_name(values) in _SMALL:
            return {"half": values}
        single = cast(values, "float32")
        if library_of(single) is np:
            return {"upper": _upper(np.ascontiguousarray(single))}
        return {"upper": cast(single, "bfloat16").view(library_of(single).int16)}

    def unpack(self, parts: Mapping[str, Any], size: int, key: StepKey, name: str) -> Any:
        """Return the numbers."""
        if "half" in parts:
            return parts["half"]
        upper = parts["upper"]
        if library_of(upper) is not np:
            return upper.view(library_of(upper).bfloat16)
        return (upper.astype(np.uint32) << 16).view(np.float32)


def _upper(single: Any) -> Any:
    """Return the upper halves of numbers' bits, rounded."""
    bits = single.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    return np.where(np.isnan(single), np.uint32(_NAN), rounded).astype(np.uint16)
