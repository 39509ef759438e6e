"""What devices exchange with their neighbors, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import named_arrays
from ..named_arrays import Model
from ..options import Options
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


def put_together(
    own: Model | None, offers: Mapping[int, Model], holder: NDArray[np.int64], options: Options
) -> dict[str, NDArray[Any]] | None:
    """Put the strongest groups of a synchronization together; None where one is lacking.

    Parameters
    ----------
    own : Model or None
        The device's own model; one that has none takes a neighbor's.
    offers : Mapping[int, Model]
        The models that arrived, by device.
    holder : NDArray[int64], shape (G,)
        Whose group is the strongest, for each.
    options : Options
        They say which arrays take part.

    Raises
    ------
    LayoutError
        A model that arrived has other arrays.
    """
    template = next(iter(offers.values())) if own is None else own
    part = options.shared.part
    mixed = part(template)
    for j, offer in offers.items():
        named_arrays.check_layout(mixed, part(offer), f"device {j}")
    made = dict(template)
    sources = np.broadcast_to(holder, len(mixed)).tolist()
    for name, source in zip(mixed, sources, strict=True):
        chosen = offers.get(source, own)
        if chosen is None:
            return None
        made[name] = chosen[name]
    return made
