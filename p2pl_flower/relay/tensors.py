"""Models as safetensors documents in one buffer, without a copy more than needed.

A document is the header's length (8 bytes, little endian), the header (JSON) and the data.
The library's own functions join or copy all arrays; here a publication is packed once, and
what arrives is looked at where it lies.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..consensus import Model
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


def pack(model: Model, metadata: Mapping[str, str] | None = None) -> Buffer:
    """Return a model as a safetensors document: one copy of its arrays, in one new buffer.

    The header lists the arrays in the model's order; their data lie in descending order of
    item size, so that every array is aligned.

    Raises
    ------
    RelayError
        An array has a dtype that safetensors cannot hold.
    """
    head, arrays = document(model, metadata)
    buffer = np.empty(len(head) + sum(array.nbytes for array in arrays), np.uint8)
    buffer[: len(head)] = np.frombuffer(head, np.uint8)
    end = len(head)
    for array in arrays:
        begin, end = end, end + array.nbytes
        buffer[begin:end].view(array.dtype).reshape(array.shape)[...] = array
    buffer.flags.writeable = False
    return buffer


def document(
    model: Model, metadata: Mapping[str, str] | None = None
) -> tuple[bytes, list[NDArray[Any]]]:
    """Return the head of a model's document, and the arrays whose data follow it in order.

    Raises
    ------
    RelayError
        As `pack`.
    """
    arrays = {name: np.asarray(array) for name, array in model.items()}
    for name, array in arrays.items():
        if array.dtype not in _NAMES:
            raise RelayError(f"cannot publish array {name!r} of dtype {array.dtype}")
    ordered = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))
    ends = dict(zip(ordered, np.cumsum([a.nbytes for a in ordered.values()]).tolist(), strict=True))
    entries: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    for name, array in arrays.items():
        span = [ends[name] - array.nbytes, ends[name]]
        kind = _NAMES[array.dtype]
        entries[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": span}
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(_PREFIX, "little") + header, list(ordered.values())


def unpack(buffer: Buffer) -> dict[str, NDArray[Any]]:
    """Return the model in a document: read-only views of the buffer.

    Raises
    ------
    RelayError
        The document is not what safetensors allows: says what is wrong with it.
    """
    return {name: _view(buffer, start, name, entry) for start, name, entry in _entries(buffer)}


def metadata_of(buffer: Buffer) -> dict[str, str]:
    """Return the texts that were packed beside the model."""
    _, header = _header(buffer)
    found = header.get("__metadata__", {})
    return dict(found) if isinstance(found, dict) else {}


def not_finite(model: Model) -> str | None:
    """Return the name of the first floating-point array with a NaN or an infinity."""
    for name, array in model.items():
        if array.dtype.kind == "f":
            flat = array.reshape(-1)
            for start in range(0, flat.size, _FINITE_BLOCK):  # no mask as large as the model
                if not np.isfinite(flat[start : start + _FINITE_BLOCK]).all():
                    return name
    return None


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


def _entries(buffer: Buffer) -> list[tuple[int, str, Any]]:
    start, header = _header(buffer)
    entries = [(start, name, e) for name, e in header.items() if name != "__metadata__"]
    spans = sorted(_span(name, entry) for _, name, entry in entries)
    end = 0
    for begin, stop in spans:  # gaps and overlaps hide something
        if begin != end:
            raise RelayError(f"has array data from byte {begin}, where {end} was due")
        end = stop
    if start + end != buffer.size:
        raise RelayError(f"has {buffer.size - start} bytes of data, but its header says {end}")
    return entries


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


def _view(buffer: Buffer, start: int, name: str, entry: Mapping[str, Any]) -> NDArray[Any]:
    begin, stop = (start + offset for offset in entry["data_offsets"])
    view = buffer[begin:stop].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    view.flags.writeable = False
    return view
