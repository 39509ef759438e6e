"""The weighted sum of one device's consensus step, on NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..named_arrays import Model, blocks, check_layout


def weighted_sum(
    own: Model, received: Mapping[int, Model], row: Mapping[int, float], gamma: float = 1.0
) -> dict[str, NDArray[Any]]:
    r"""Make one consensus step.

    .. math:: w_k \leftarrow w_k + \gamma \sum_j a_{kj} (w_j - w_k)

    Parameters
    ----------
    own : Model
        :math:`w_k`, floating-point arrays.
    received : Mapping[int, Model]
        :math:`w_j` by device id.
    row : Mapping[int, float]
        :math:`a_{kj}` of each device in ``received``; the device's own weight is what
        they lack to 1.
    gamma : float
        :math:`\gamma`, the consensus step size, in (0, 1].

    Returns
    -------
    dict[str, NDArray]
        The new :math:`w_k`, in new arrays. Written with differences, equal models stay
        equal to the last bit. Terms are added in ascending order of device ids, in at
        least single precision, so that two runs give identical numbers. Received arrays are
        looked up one by one: models that are mapped from files never are in memory as a whole.

    Raises
    ------
    LayoutError
        A neighbor's model has other arrays.
    """
    for j in sorted(received):
        check_layout(own, received[j], f"device {j}")
    return {
        name: _mix(array, ((row[j], received[j][name]) for j in sorted(received)), gamma)
        for name, array in own.items()
    }


def _mix(
    own: NDArray[Any], others: Iterable[tuple[float, NDArray[Any]]], gamma: float
) -> NDArray[Any]:
    wide = np.result_type(own.dtype, np.float32)
    base = np.ascontiguousarray(own, wide).reshape(-1)
    slices = list(blocks(base))
    total, term = base.copy(), np.empty(max((base[s].size for s in slices), default=0), wide)
    for weight, other in others:
        flat = other.reshape(-1)
        for block in slices:
            part = np.subtract(flat[block], base[block], out=term[: base[block].size])
            part *= wide.type(gamma * weight)
            total[block] += part
    return total.reshape(own.shape).astype(own.dtype, copy=False)
