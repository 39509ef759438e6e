"""Half precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..base import library_of
from .array_functions import cast, dtype_name
from .base import ArrayCodec, StepKey

_MOST = 65504.0
_SMALL = ("float16", "bfloat16")


@dataclass(frozen=True)
class Float16(ArrayCodec):
    """Each number to 11 significant bits, in 2 bytes.

    Numbers beyond 65504 become 65504, those below 6e-8 become 0. Arrays of half precision are sent
    as they are.
    """

    def pack(self, values: Any, key: StepKey, name: str) -> dict[str, Any]:
        """Return the nearest numbers of half precision."""
        if dtype_name(values) in _SMALL:
            return {"half": values}
        library = library_of(values)
        limited = library.where(library.isfinite(values), values.clip(-_MOST, _MOST), values)
        return {"half": cast(limited, "float16")}

    def unpack(self, parts: Mapping[str, Any], size: int, key: StepKey, name: str) -> Any:
        """Return the numbers."""
        return parts["half"]
