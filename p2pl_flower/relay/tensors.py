"""Models as safetensors documents, without a copy more than needed.

A document is the header's length (8 bytes, little endian), the header (JSON) and the data.
The library's own functions join or copy all arrays; here they are written one by one, and
what arrives is looked at where it lies.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..consensus import Model, nbytes
from ..errors import RelayError

Buffer = NDArray[np.uint8]

DTYPES: dict[str, type[np.generic]] = {
    "BOOL": np.bool_,
    **{f"I{8 * size}": np.dtype(f"i{size}").type for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"u{size}").type for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"f{size}").type for size in (2, 4, 8)},
}
_NAMES = {np.dtype(kind): name for name, kind in DTYPES.items()}

_PREFIX = 8
_MOST_HEADER_BYTES = 100_000_000  # what the safetensors library itself accepts
_FINITE_BLOCK = 1 << 20


def pieces(model: Model, metadata: Mapping[str, str] | None = None) -> Iterator[memoryview]:
    """Return a model's safetensors document piece by piece: the header, then array by array.

    The header lists the arrays in the model's order; their data come in descending order of
    item size, so that every array is aligned. Each is looked up when it is due.

    Raises
    ------
    RelayError
        An array has a dtype that safetensors cannot hold.
    """
    head, order = _head(model, metadata)
    yield memoryview(head)
    for name in order:
        yield np.ascontiguousarray(model[name]).reshape(-1).view(np.uint8).data


def document_size(model: Model) -> int:
    """Return the size of a model's document in bytes, or raise as `pieces` does."""
    return len(_head(model, None)[0]) + nbytes(model)


def _head(model: Model, metadata: Mapping[str, str] | None) -> tuple[bytes, list[str]]:
    """Return the header with its length, and the names of arrays in the order of their data."""
    sizes = {name: _size(name, array) for name, array in model.items()}
    order = sorted(sizes, key=lambda name: -sizes[name][0])
    ends = dict(zip(order, itertools.accumulate(sizes[name][1] for name in order), strict=True))
    entries: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    for name, array in model.items():
        span = [ends[name] - sizes[name][1], ends[name]]
        kind = _NAMES[array.dtype]
        entries[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": span}
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(_PREFIX, "little") + header, order


def _size(name: str, array: NDArray[Any]) -> tuple[int, int]:
    if array.dtype not in _NAMES:
        raise RelayError(f"cannot publish array {name!r} of dtype {array.dtype}")
    return array.itemsize, array.nbytes


@dataclass(frozen=True)
class Entry:
    """Where in a document an array is, and what it is."""

    begin: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def entries_of(buffer: Buffer) -> dict[str, Entry]:
    """Return what a document holds, in the model's order.

    Raises
    ------
    RelayError
        The document is not what safetensors allows: says what is wrong with it.
    """
    start, header = _header(buffer)
    listed = {name: e for name, e in header.items() if name != "__metadata__"}
    spans = {name: _span(name, entry) for name, entry in listed.items()}
    end = 0
    for begin, stop in sorted(spans.values()):  # gaps and overlaps hide something
        if begin != end:
            raise RelayError(f"has array data from byte {begin}, where {end} was due")
        end = stop
    if start + end != buffer.size:
        raise RelayError(f"has {buffer.size - start} bytes of data, but its header says {end}")
    return {
        name: Entry(start + spans[name][0], np.dtype(DTYPES[e["dtype"]]), tuple(e["shape"]))
        for name, e in listed.items()
    }


def view(buffer: Buffer, entry: Entry) -> NDArray[Any]:
    """Return an array where it lies in a document, read-only."""
    size = math.prod(entry.shape) * entry.dtype.itemsize
    found = buffer[entry.begin : entry.begin + size].view(entry.dtype).reshape(entry.shape)
    found.flags.writeable = False
    return found


def metadata_of(buffer: Buffer) -> dict[str, str]:
    """Return the texts that were packed beside the model."""
    _, header = _header(buffer)
    found = header.get("__metadata__", {})
    return dict(found) if isinstance(found, dict) else {}


def not_finite(model: Model) -> str | None:
    """Return the name of the first floating-point array with a NaN or an infinity."""
    return next((name for name in model if not _is_finite(model[name])), None)


def _is_finite(array: NDArray[Any]) -> bool:
    flat = array.reshape(-1)
    blocks = range(0, flat.size, _FINITE_BLOCK)  # no mask as large as the model
    return array.dtype.kind != "f" or all(
        np.isfinite(flat[start : start + _FINITE_BLOCK]).all() for start in blocks
    )


def _header(buffer: Buffer) -> tuple[int, dict[str, Any]]:
    if buffer.size < _PREFIX:
        raise RelayError(f"is no safetensors document: {buffer.size} bytes")
    length = int.from_bytes(buffer[:_PREFIX].tobytes(), "little")
    if length > min(buffer.size - _PREFIX, _MOST_HEADER_BYTES):
        raise RelayError(f"is no safetensors document: a header of {length} bytes")
    try:
        header = json.loads(buffer[_PREFIX : _PREFIX + length].tobytes())
    except (ValueError, RecursionError) as error:
        raise RelayError(f"is no safetensors document: {error}") from None
    if not isinstance(header, dict):
        raise RelayError("is no safetensors document: its header is no object")
    return _PREFIX + length, header


def _span(name: str, entry: Any) -> tuple[int, int]:
    try:
        kind, shape, (begin, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(n) is int and n >= 0 for n in (*shape, begin, stop))
        size = math.prod(shape) * np.dtype(DTYPES[kind]).itemsize
    except (KeyError, TypeError, ValueError):
        raise RelayError(f"has an array {name!r} that cannot be read: {entry!r:.100}") from None
    if not whole or stop - begin != size:
        raise RelayError(f"has an array {name!r} whose size does not fit its shape {shape!r:.100}")
    return begin, stop
