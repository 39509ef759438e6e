"""How models pass between a ClientApp and its daemon: a JSON head, then documents in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...errors import RelayError
from ...named_arrays import Model
from ..grpc import protocol
from ..mailbox import Slot
from ..spool import Document, Spool
from ..tensors import document

DESCRIBE, MEET = "/p2pl.Local/Describe", "/p2pl.Local/Meet"
PUBLISH, RECALL, COLLECT = "/p2pl.Local/Publish", "/p2pl.Local/Recall", "/p2pl.Local/Collect"
REFUSE = "/p2pl.Local/Refuse"


def send(fields: Mapping[str, Any], model: Model, private: Model | None) -> Iterator[bytes]:
    """Return messages: a head with ``fields``, and the chunks of one or two documents."""
    documents = [document(part) for part in (model, private) if part is not None]
    yield protocol.encode({**fields, "sizes": [size for size, _ in documents]})
    for _, pieces in documents:
        yield from _chunks(pieces)


def _chunks(pieces: Iterable[memoryview]) -> Iterator[bytes]:
    """Return the bytes of a document's pieces, the small ones of them together."""
    gathered = bytearray()
    for piece in pieces:
        for start in range(0, len(piece), protocol.CHUNK_BYTES):
            gathered += piece[start : start + protocol.CHUNK_BYTES]
            if len(gathered) >= protocol.CHUNK_BYTES:
                yield bytes(gathered)
                gathered.clear()
    if gathered:
        yield bytes(gathered)


def receive(
    fields: Mapping[str, Any], messages: Iterator[bytes], spool: Spool
) -> tuple[Document, Document | None]:
    """Return the one or two documents that follow a head."""
    documents = [spool.keep(size, _body(size, messages)) for size in fields["sizes"]]
    return documents[0], documents[1] if len(documents) > 1 else None


def _body(size: int, messages: Iterator[bytes]) -> Iterator[bytes]:
    end = 0
    while end < size:
        chunk = next(messages, b"")
        if not chunk or end + len(chunk) > size:
            raise RelayError(f"{end + len(chunk):,} bytes of a model came, not {size:,}")
        end += len(chunk)
        yield chunk


def place(slot: Slot) -> dict[str, Any]:
    """Return a slot as fields of a head."""
    return {"channel": slot.channel, "round": slot.round, "step": slot.step}


def slot_in(fields: dict[str, Any]) -> Slot:
    """Return the slot in a head."""
    number, step = protocol.whole(fields, "round"), protocol.whole(fields, "step")
    return Slot(protocol.text(fields, "channel"), number, step)
