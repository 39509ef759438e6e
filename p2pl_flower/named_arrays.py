"""Models as named arrays: which are mixed, how they must fit, their mean and their distance.

A model is a mapping from array names to NumPy arrays. Nothing here knows of devices'
processes, of relays or of Flower. Only floating-point arrays, complex ones among them, are mixed:
integer buffers (a batch counter, say) and booleans stay the device's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import LayoutError

Model = Mapping[str, NDArray[Any]]
Layout = Mapping[str, tuple[tuple[int, ...], str]]
"""Shape and dtype of a model's arrays, by name."""

_MIXED_KINDS = "fc"

_BLOCK = 1 << 18
"""Numbers that are computed with at a time: they fit into a processor's cache."""


def is_mixed(array: NDArray[Any]) -> bool:
    """Return whether an array takes part in consensus: floating-point and complex ones do."""
    return array.dtype.kind in _MIXED_KINDS


def mixed_part(model: Model) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``model`` that take part in consensus, in their order."""
    return {name: array for name, array in model.items() if is_mixed(array)}


def is_finite(array: NDArray[Any]) -> bool:
    """Return whether an array holds neither NaN nor infinity; no mask as large as it is made."""
    flat = array.reshape(-1)
    return not is_mixed(array) or all(np.isfinite(flat[block]).all() for block in blocks(flat))


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


def check_real(model: Model, advice: str) -> None:
    """Refuse complex arrays, where numbers are to be put in order.

    Raises
    ------
    LayoutError
        Names the first such array, and gives the advice.
    """
    for name, array in model.items():
        if np.iscomplexobj(array):
            raise LayoutError(f"array {name!r}: complex numbers have no order; {advice}")


def check_real_layout(layout: Layout, advice: str) -> None:
    """Refuse complex arrays, by their layout; otherwise as `check_real`."""
    for name, (_, dtype) in layout.items():
        if dtype.startswith("complex"):
            raise LayoutError(f"array {name!r}: complex numbers cannot be encoded; {advice}")


def check_exactly(expected: Layout, found: Layout, whose: str) -> None:
    """Refuse arrays of other names, shapes or dtypes than are due, integers among them.

    Raises
    ------
    LayoutError
        Names the first array that differs, and ``whose`` they are.
    """
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise LayoutError(
                f"array {name!r} is {_describe(found.get(name))} at {whose}, where "
                f"{_describe(expected.get(name))} is due"
            )


def check_positions(name: str, positions: NDArray[Any], size: int) -> None:
    """Refuse positions in an array of a size that are not ascending, each once, and within it.

    Raises
    ------
    LayoutError
        Names the array.
    """
    wide = positions.astype(np.int64)
    if wide.size and (wide.max() >= size or (np.diff(wide) <= 0).any()):
        raise LayoutError(f"array {name!r}: positions are not ascending below {size}")


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


def mean_model(models: Iterable[Model]) -> dict[str, NDArray[Any]]:
    """Return the mean of the mixed arrays; other arrays are those of the first model.

    Summed in double precision in the order given, returned in the models' dtypes.
    """
    listed = list(models)
    first = listed[0]
    return {
        name: np.asarray(sum(_wide(m[name]) for m in listed) / len(listed), dtype=array.dtype)
        if is_mixed(array)
        else array
        for name, array in first.items()
    }


def consensus_distance(models: Iterable[Model]) -> float:
    r"""Return :math:`\sqrt{\frac{1}{K} \sum_k \|w_k - \bar{w}\|^2}` over the mixed arrays."""
    listed = list(models)
    total = 0.0
    for name in mixed_part(listed[0]):
        mean = sum(_wide(m[name]) for m in listed) / len(listed)
        total += sum(square_norm(m[name] - mean) for m in listed)
    return float(np.sqrt(total / len(listed)))


def square_norm(array: NDArray[Any]) -> float:
    """Return the sum of squares, of complex numbers' absolute values, in double precision."""
    flat = array.reshape(-1)
    with np.errstate(invalid="ignore", over="ignore"):  # of numbers that are none, and of huge ones
        wide = (_wide(flat[block]) for block in blocks(flat))
        return float(sum(np.vdot(part, part).real for part in wide))


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in double precision."""
    return array.astype(np.result_type(array.dtype, np.float64), copy=False)


def blocks(flat: NDArray[Any]) -> Iterable[slice]:
    """Return slices of an array: what is computed from them needs no copy of all of it."""
    return (slice(start, start + _BLOCK) for start in range(0, flat.size, _BLOCK))


def _same_layout(own: Model, other: Model) -> bool:
    mine, theirs = mixed_part(own), mixed_part(other)
    return mine.keys() == theirs.keys() and all(
        array.shape == theirs[name].shape and array.dtype == theirs[name].dtype
        for name, array in mine.items()
    )


def _kind(entry: tuple[tuple[int, ...], str]) -> tuple[tuple[int, ...], str]:
    shape, dtype = entry
    kind = np.dtype(dtype).kind
    return shape, kind if kind in _MIXED_KINDS else ""


def _describe(entry: tuple[tuple[int, ...], str] | None) -> str:
    return "missing" if entry is None else f"{entry[1]}{list(entry[0])}"
