"""How models pass between a ClientApp and its daemon: a JSON head, then documents in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ...consensus import Model
from ..base import Slot
from ..tensors import Buffer, document
from . import protocol

DESCRIBE, MEET = "/p2pl.Local/Describe", "/p2pl.Local/Meet"
PUBLISH, RECALL, COLLECT = "/p2pl.Local/Publish", "/p2pl.Local/Recall", "/p2pl.Local/Collect"


def send(fields: Mapping[str, Any], model: Model, private: Model | None) -> Iterator[bytes]:
    """Return messages: a head with ``fields``, and the chunks of one or two documents."""
    parts = [document(part) for part in (model, private) if part is not None]
    sizes = [len(head) + sum(a.nbytes for a in arrays) for head, arrays in parts]
    yield protocol.encode({**fields, "sizes": sizes})
    for head, arrays in parts:
        yield from _chunks([np.frombuffer(head, np.uint8), *arrays])


def _chunks(arrays: Iterable[Any]) -> Iterator[bytes]:
    """Return the bytes of arrays, the small ones of them together."""
    gathered = bytearray()
    for array in arrays:
        view = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        for start in range(0, len(view), protocol.CHUNK_BYTES):
            gathered += view[start : start + protocol.CHUNK_BYTES]
            if len(gathered) >= protocol.CHUNK_BYTES:
                yield bytes(gathered)
                gathered.clear()
    if gathered:
        yield bytes(gathered)


def receive(fields: Mapping[str, Any], messages: Iterator[bytes]) -> tuple[Buffer, Buffer | None]:
    """Return the one or two documents that follow a head."""
    buffers = [_fill(size, messages) for size in fields["sizes"]]
    return buffers[0], buffers[1] if len(buffers) > 1 else None


def _fill(size: int, messages: Iterator[bytes]) -> Buffer:
    buffer, end = np.empty(size, np.uint8), 0
    while end < size:
        chunk = next(messages)
        buffer.data[end : end + len(chunk)] = chunk
        end += len(chunk)
    buffer.flags.writeable = False
    return buffer


def place(slot: Slot) -> dict[str, Any]:
    """Return a slot as fields of a head."""
    return {"channel": slot.channel, "round": slot.round, "step": slot.step}


def slot_in(fields: dict[str, Any]) -> Slot:
    """Return the slot in a head."""
    number, step = protocol.whole(fields, "round"), protocol.whole(fields, "step")
    return Slot(protocol.text(fields, "channel"), number, step)
