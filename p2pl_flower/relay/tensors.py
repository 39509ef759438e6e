"""Models as safetensors documents, without a copy more than needed.

A document is the header's length (8 bytes, little endian), the header (JSON) and the data.
The library's own functions join or copy all arrays; here they are written one by one, and
what arrives is looked at where it lies.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import mmap
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import RelayError
from ..named_arrays import Model, is_finite, nbytes

Buffer = NDArray[np.uint8]

_DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"I{8 * size}": np.dtype(f"i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"u{size}") for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"f{size}") for size in (2, 4, 8)},
    "C64": np.dtype(np.complex64),
    "C128": np.dtype(np.complex128),  # which the format itself lacks: others cannot read it
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

_PREFIX = 8
_MOST_EXTENT = 1 << 62
_MOST_HEADER_BYTES = 100_000_000  # what the safetensors library itself accepts
_MOST_CACHED_BYTES = 1 << 16
_HEADER_SLACK, _HEADER_SHARE = 1 << 18, 20
_MOST_DIGITS, _MOST_DIMENSIONS = 18, 32  # of a size in a header; of an array of any NumPy


def document(
    model: Model, metadata: Mapping[str, str] | None = None
) -> tuple[int, Iterator[memoryview]]:
    """Return the size of a model's safetensors document in bytes, and its pieces.

    They are the header, then array by array. The header lists the arrays in the model's order;
    their data come in descending order of item size, so that every array is aligned. Each is
    looked up when it is due.

    Raises
    ------
    RelayError
        An array has a dtype that safetensors cannot hold.
    """
    head, order = _head(model, metadata)
    data = (np.ascontiguousarray(model[name]).reshape(-1).view(np.uint8).data for name in order)
    return len(head) + nbytes(model), itertools.chain([memoryview(head)], data)


def pieces(model: Model, metadata: Mapping[str, str] | None = None) -> Iterator[memoryview]:
    """Return the pieces of a model's document, or raise as `document` does."""
    return document(model, metadata)[1]


def pack(model: Model) -> bytes:
    """Return a model's document in one piece, or raise as `document` does."""
    return b"".join(pieces(model))


def unpack(document: bytes | mmap.mmap | Buffer) -> Model:
    """Return the model in a document: read-only arrays, where they lie in it.

    Raises
    ------
    RelayError
        The document is not what safetensors allows: says what is wrong with it.
    """
    buffer = np.frombuffer(document, np.uint8)
    return {name: view(buffer, entry) for name, entry in entries_of(buffer).items()}


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
        raise RelayError(
            f"cannot publish array {name!r} of dtype {array.dtype}: convert it to one of "
            f"{', '.join(map(str, _NAMES))}, or leave it out of the model"
        )
    return array.itemsize, array.nbytes


class Entry(NamedTuple):
    """Where in a document an array is, and what it is."""

    begin: int
    end: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def strangers_header(size: int, own: int = 0) -> int:
    """Return how many bytes the header of a stranger's document of ``size`` bytes may have.

    That bounds the time and the memory that it takes to look at: a header is text, and what it
    says takes ten times the room. ``own`` is the size of the document that it is to be like.
    """
    return _HEADER_SLACK + max(size, own) // _HEADER_SHARE


def entries_of(buffer: Buffer, most_header: int = _MOST_HEADER_BYTES) -> dict[str, Entry]:
    """Return what a document holds, in the model's order.

    Parameters
    ----------
    buffer : Buffer
        The document.
    most_header : int
        A longer header, in bytes, is refused before it is read.

    Raises
    ------
    RelayError
        The document is not what safetensors allows: says what is wrong with it.
    """
    head = _head_bytes(buffer, most_header)
    if len(head) > _MOST_CACHED_BYTES:
        return _entries(head, buffer.size)
    return dict(_cached_entries(head, buffer.size))


def _entries(head: bytes, size: int) -> dict[str, Entry]:
    """Return the arrays that a document of a size has by its header, having checked them."""
    start, header = len(head), _parsed(head)
    entries = {n: _entry(n, e, start) for n, e in header.items() if n != "__metadata__"}
    end = start
    for begin, stop in sorted((entry.begin, entry.end) for entry in entries.values()):
        if begin != end:  # gaps and overlaps hide something
            raise RelayError(
                f"has array data from byte {begin - start}, where {end - start} was due"
            )
        end = stop
    if end != size:
        raise RelayError(f"has {size - start} bytes of data, but its header says {end - start}")
    return entries


_cached_entries = functools.lru_cache(maxsize=8)(_entries)
"""All devices' models have the same header, which is read again and again."""


def view(buffer: Buffer, entry: Entry) -> NDArray[Any]:
    """Return an array where it lies in a document, read-only."""
    found = np.ndarray(entry.shape, entry.dtype, buffer, entry.begin)
    found.flags.writeable = False
    return found


def metadata_of(buffer: Buffer) -> dict[str, str]:
    """Return the texts that were packed beside the model."""
    _, header = _header(buffer)
    found = header.get("__metadata__", {})
    return dict(found) if isinstance(found, dict) else {}


def not_finite(model: Model) -> str | None:
    """Return the name of the first floating-point array with a NaN or an infinity."""
    return next((name for name in model if not is_finite(model[name])), None)


def _header(buffer: Buffer) -> tuple[int, dict[str, Any]]:
    head = _head_bytes(buffer)
    return len(head), _parsed(head)


def _head_bytes(buffer: Buffer, most: int = _MOST_HEADER_BYTES) -> bytes:
    """Return a document's header with its length before it."""
    if buffer.size < _PREFIX:
        raise RelayError(f"is no safetensors document: {buffer.size} bytes")
    length = int.from_bytes(buffer[:_PREFIX].tobytes(), "little")
    if length > min(buffer.size - _PREFIX, most):
        raise RelayError(f"is no safetensors document: a header of {length} bytes")
    return buffer[: _PREFIX + length].tobytes()


def _parsed(head: bytes) -> dict[str, Any]:
    try:
        header = json.loads(head[_PREFIX:], parse_int=_whole, parse_float=_no_number)
    except (ValueError, RecursionError) as error:
        raise RelayError(f"is no safetensors document: {str(error)[:200]}") from None
    if not isinstance(header, dict):
        raise RelayError("is no safetensors document: its header is no object")
    return header


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _no_number(text: str) -> int:
    raise ValueError(f"{text[:20]} where a whole number is due")


def _entry(name: str, fields: Any, start: int) -> Entry:
    try:
        dtype, shape, (begin, end) = (
            _DTYPES[fields["dtype"]],
            fields["shape"],
            fields["data_offsets"],
        )
        if type(shape) is not list or len(shape) > _MOST_DIMENSIONS:
            raise ValueError
        size = math.prod(shape) * dtype.itemsize
        for number in (*shape, begin, end):
            if type(number) is not int or number < 0:
                size = -1
        if math.prod(n or 1 for n in shape) * dtype.itemsize > _MOST_EXTENT:
            size = -1  # as [0, 10**17] is: no array of any library can be so
    except (KeyError, TypeError, ValueError):
        raise RelayError(
            f"has an array {name!r:.100} that cannot be read: {fields!r:.100}"
        ) from None
    if size < 0 or end - begin != size:
        raise RelayError(
            f"has an array {name!r:.100} whose size does not fit its shape {shape!r:.100}"
        )
    return Entry(start + begin, start + end, dtype, tuple(shape))
