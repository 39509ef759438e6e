"""What devices exchange with their neighbors, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import named_arrays
from ..named_arrays import Model
from ..relay.contents import Holding


@dataclass(frozen=True)
class Exchange:
    """What one exchange with neighbors brought.

    Attributes
    ----------
    received : Mapping[int, int]
        Bytes that arrived, by the device that sent them.
    origins : tuple[int, ...]
        In synchronization: whose initial model the device now holds, for each group.
    told : Mapping[int, int]
        Bytes of what devices said of whom they hear, by device.
    """

    received: Mapping[int, int]
    origins: tuple[int, ...] = ()
    told: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What a device holds after a consensus step, and what it took."""

    holding: Holding
    exchange: Exchange


def as_arrays(arrays: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return NumPy's numbers, which its operators make of arrays of no dimension, as arrays."""
    return {name: np.asarray(array) for name, array in arrays.items()}


def sum_bytes(*arrived: Mapping[int, Model]) -> dict[int, int]:
    """Return the bytes of all that arrived, by the device that sent them."""
    senders = sorted({j for models in arrived for j in models})
    return {j: sum(named_arrays.nbytes(m[j]) for m in arrived if j in m) for j in senders}
