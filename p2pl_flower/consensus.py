"""The algorithm on arrays: mixing, max norm synchronization, affinity, consensus distance.

A model is a mapping from array names to NumPy arrays. Nothing here knows of devices'
processes, of relays or of Flower. Only floating-point arrays take part: integer buffers
(a batch counter, say) and booleans stay the device's own.

References
----------
.. [1] Pranav and Moura, "Peer-to-Peer Deep Learning for Beyond-5G IoT", arXiv 2310.18861.
.. [2] Pranav and Moura, "Peer-to-Peer Learning + Consensus with Non-IID Data",
   arXiv 2312.13602.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import LayoutError

Model = Mapping[str, NDArray[Any]]
Layout = Mapping[str, tuple[tuple[int, ...], str]]
"""Shape and dtype of a model's arrays, by name."""

_BLOCK = 1 << 18
"""Numbers that are computed with at a time: they fit into a processor's cache."""

NO_CLAIM = -1.0
"""Norm claimed by a device that has no model yet: it loses to every model."""


def is_mixed(array: NDArray[Any]) -> bool:
    """Return whether an array takes part in consensus: floating-point ones do."""
    return array.dtype.kind == "f"


def mixed_part(model: Model) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``model`` that take part in consensus, in their order."""
    return {name: array for name, array in model.items() if is_mixed(array)}


def nbytes(model: Model) -> int:
    """Return the size of a model's arrays in bytes."""
    return sum(array.nbytes for array in model.values())


def layout(model: Model) -> Layout:
    """Return shape and dtype of every array by name."""
    return {name: (array.shape, str(array.dtype)) for name, array in model.items()}


def check_layout(own: Model, other: Model, whose: str) -> None:
    """Refuse to mix models that differ in names, shapes or dtypes of mixed arrays.

    Raises
    ------
    LayoutError
        Names the first array that differs, and ``whose`` model it is.
    """
    if _same_layout(own, other):
        return
    mine, theirs = layout(mixed_part(own)), layout(mixed_part(other))
    for name in sorted(mine.keys() | theirs.keys()):
        if mine.get(name) != theirs.get(name):
            raise LayoutError(
                f"array {name!r} is {_describe(theirs.get(name))} at {whose} but "
                f"{_describe(mine.get(name))} here: all devices must train the same model"
            )


def conformed(before: Layout, after: Model) -> dict[str, NDArray[Any]]:
    """Return a trained model with the floating-point types that it had before.

    Raises
    ------
    LayoutError
        Training changed the names or shapes of arrays, or made integers of floating-point
        numbers or the reverse; names the first such array.
    """
    found = layout(after)
    for name in (*before, *(name for name in after if name not in before)):
        old, new = before.get(name), found.get(name)
        if old is None or new is None or _kind(old) != _kind(new):
            raise LayoutError(
                f"training changed array {name!r}, which was {_describe(old)} and is "
                f"{_describe(new)}: names and shapes must stay the same from round to round"
            )
    return {
        name: array.astype(before[name][1], copy=False) if is_mixed(array) else array
        for name, array in after.items()
    }


def mix(
    own: Model, received: Mapping[int, Model], row: Mapping[int, float], gamma: float = 1.0
) -> dict[str, NDArray[Any]]:
    r"""Make one consensus step.

    .. math:: w_k \leftarrow w_k + \gamma \sum_j a_{kj} (w_j - w_k)

    Parameters
    ----------
    own : Model
        :math:`w_k`. Arrays that are not floating-point are returned as they are.
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
        name: _mix_array(array, ((row[j], received[j][name]) for j in sorted(received)), gamma)
        if is_mixed(array)
        else array
        for name, array in own.items()
    }


def drift(before: Model, after: Model, gamma: float = 1.0) -> dict[str, NDArray[Any]]:
    r"""Return what the last consensus step pulled the device towards.

    .. math:: r_k = \sum_j a_{kj} (w_j - w_k) = (w_k^{after} - w_k^{before}) / \gamma

    *P2PL with Affinity* [2]_ in our reading adds :math:`\lambda r_k / H` at each of the H
    local steps of the next round, :math:`\lambda` being the affinity: each step becomes
    :math:`w_k \leftarrow w_k - \eta g + \lambda d_k` with :math:`d_k = r_k / H` held fixed.
    """
    return {
        name: (after[name] - before[name]) / after[name].dtype.type(gamma)
        for name in after
        if is_mixed(after[name])
    }


@dataclass(frozen=True)
class Claims:
    """What a device says of the initial model that it holds, group by group.

    Attributes
    ----------
    norms : NDArray[float64], shape (G,)
        L2 norm of each group; G is 1 for scope ``model`` and the number of mixed arrays
        for scope ``tensor``.
    origins : NDArray[int64], shape (G,)
        The device on which each group was drawn.
    """

    norms: NDArray[np.float64]
    origins: NDArray[np.int64]

    @classmethod
    def of(cls, model: Model, scope: str, device: int) -> Claims:
        """Return the claims of ``device`` for a model that it has drawn itself."""
        squares = [_square_norm(array) for array in mixed_part(model).values()]
        totals = squares if scope == "tensor" else [sum(squares)]
        return cls(np.sqrt(np.array(totals)), np.full(len(totals), device, dtype=np.int64))

    @classmethod
    def nothing(cls, groups: int, device: int) -> Claims:
        """Return the claims of a device that has no model: any claim beats them."""
        return cls(np.full(groups, NO_CLAIM), np.full(groups, device, dtype=np.int64))

    def beaten_by(self, other: Claims) -> NDArray[np.bool_]:
        """Return where ``other`` has the larger norm, or an equal one of a smaller origin."""
        larger = other.norms > self.norms
        tie = (other.norms == self.norms) & (other.origins < self.origins)
        return np.asarray(larger | tie)


def strongest(device: int, own: Claims, others: Mapping[int, Claims]) -> NDArray[np.int64]:
    """Return, for each group, who among the device and its neighbors holds the strongest.

    This is one step of max-consensus on (norm, -origin): repeated with neighbors only, it
    floods the largest norm through a connected graph in as many steps as its diameter.

    Returns
    -------
    NDArray[int64], shape (G,)
        A key of ``others``, or ``device`` where its own group stays.
    """
    best, holder = own, np.full(own.norms.shape, device, dtype=np.int64)
    for j in sorted(others):
        better = best.beaten_by(others[j])
        holder[better] = j
        best = Claims(
            np.where(better, others[j].norms, best.norms),
            np.where(better, others[j].origins, best.origins),
        )
    return holder


def mean_model(models: Iterable[Model]) -> dict[str, NDArray[Any]]:
    """Return the mean of the mixed arrays; other arrays are those of the first model.

    Summed in double precision in the order given, returned in the models' dtypes.
    """
    listed = list(models)
    first = listed[0]
    return {
        name: np.asarray(
            sum(m[name].astype(np.float64) for m in listed) / len(listed), dtype=array.dtype
        )
        if is_mixed(array)
        else array
        for name, array in first.items()
    }


def consensus_distance(models: Iterable[Model]) -> float:
    r"""Return :math:`\sqrt{\frac{1}{K} \sum_k \|w_k - \bar{w}\|^2}` over the mixed arrays."""
    listed = list(models)
    total = 0.0
    for name in mixed_part(listed[0]):
        mean = sum(m[name].astype(np.float64) for m in listed) / len(listed)
        total += sum(_square_norm(m[name] - mean) for m in listed)
    return float(np.sqrt(total / len(listed)))


def _mix_array(
    own: NDArray[Any], others: Iterable[tuple[float, NDArray[Any]]], gamma: float
) -> NDArray[Any]:
    wide = np.result_type(own.dtype, np.float32)
    base = np.ascontiguousarray(own, wide).reshape(-1)
    total, term = base.copy(), np.empty(min(_BLOCK, base.size), wide)
    for weight, other in others:
        flat = other.reshape(-1)
        for block in _blocks(base):
            part = np.subtract(flat[block], base[block], out=term[: base[block].size])
            part *= wide.type(gamma * weight)
            total[block] += part
    return total.reshape(own.shape).astype(own.dtype, copy=False)


def _square_norm(array: NDArray[Any]) -> float:
    flat = array.reshape(-1)
    wide = (flat[block].astype(np.float64, copy=False) for block in _blocks(flat))
    return float(sum(part @ part for part in wide))


def _blocks(flat: NDArray[Any]) -> Iterable[slice]:
    """Return slices of an array: what is computed from them needs no copy of all of it."""
    return (slice(start, start + _BLOCK) for start in range(0, flat.size, _BLOCK))


def _same_layout(own: Model, other: Model) -> bool:
    mine, theirs = mixed_part(own), mixed_part(other)
    return mine.keys() == theirs.keys() and all(
        array.shape == theirs[name].shape and array.dtype == theirs[name].dtype
        for name, array in mine.items()
    )


def _kind(entry: tuple[tuple[int, ...], str]) -> tuple[tuple[int, ...], bool]:
    shape, dtype = entry
    return shape, np.dtype(dtype).kind == "f"


def _describe(entry: tuple[tuple[int, ...], str] | None) -> str:
    return "missing" if entry is None else f"{entry[1]}{list(entry[0])}"
