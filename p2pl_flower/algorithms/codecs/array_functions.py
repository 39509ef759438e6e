"""What NumPy and PyTorch call differently: codecs are written once for both."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import library_of


def dtype_name(array: Any) -> str:
    """Return the name of an array's dtype, as ``float32``, in either library."""
    return str(array.dtype).removeprefix("torch.")


def cast(array: Any, dtype: str) -> Any:
    """Return an array with a dtype of that name; numbers beyond it become infinite."""
    if isinstance(array, np.ndarray | np.generic):
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(array).astype(dtype, copy=False)
    return array.to(getattr(library_of(array), dtype))


def wide(array: Any) -> Any:
    """Return an array in single precision at least."""
    return array if dtype_name(array) == "float64" else cast(array, "float32")


def zeros(like: Any, shape: tuple[int, ...], dtype: str) -> Any:
    """Return zeros of an array's library, and in its place."""
    library = library_of(like)
    if library is np:
        return np.zeros(shape, dtype)
    return library.zeros(shape, dtype=getattr(library, dtype), device=like.device)


def joined(arrays: list[Any]) -> Any:
    """Return arrays one after the other along the last axis."""
    library = library_of(arrays[0])
    return np.concatenate(arrays, -1) if library is np else library.cat(arrays, -1)


def blocks_of(array: Any, size: int) -> Any:
    """Return the last axis cut into blocks, (..., blocks, size), the last one filled with zeros."""
    lead, count = tuple(array.shape[:-1]), array.shape[-1]
    blocks = -(-count // size)
    missing = blocks * size - count
    if missing:
        array = joined([array, zeros(array, (*lead, missing), dtype_name(array))])
    return array.reshape((*lead, blocks, size))


def sums(array: Any) -> Any:
    """Return the sums along the last axis, in double precision: in whatever order, the same."""
    if library_of(array) is np:
        return array.sum(-1, dtype=np.float64)
    return array.sum(-1, dtype=library_of(array).float64)


def kth_largest(array: Any, k: int) -> Any:
    """Return the k-th largest number of each row, shape (..., 1); k is 1 at least."""
    size = array.shape[-1]
    if library_of(array) is np:
        return np.partition(array, size - k, -1)[..., size - k : size - k + 1]
    return array.topk(k, -1, sorted=False).values.amin(-1, keepdim=True)


def places(mask: Any, count: int) -> Any:
    """Return where each row of a mask is true, ascending; ``count`` times in each, (..., count)."""
    found = np.nonzero(mask) if library_of(mask) is np else mask.nonzero(as_tuple=True)
    return found[-1].reshape((*mask.shape[:-1], count))


def taken(array: Any, positions: Any) -> Any:
    """Return the numbers at positions of each row; both are of shape (..., n)."""
    if library_of(array) is np:
        return np.take_along_axis(array, positions.astype(np.int64), -1)
    return array.gather(-1, positions)


def spread(values: Any, positions: Any, size: int) -> Any:
    """Return rows of ``size`` numbers: the values at their positions, and zeros elsewhere."""
    rows = zeros(values, (*values.shape[:-1], size), dtype_name(values))
    if library_of(values) is np:
        np.put_along_axis(rows, positions.astype(np.int64), values, -1)
        return rows
    return rows.scatter_(-1, positions, values)
