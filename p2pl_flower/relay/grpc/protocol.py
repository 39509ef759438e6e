"""What relays say to each other: JSON for facts, raw bytes for models, over gRPC.

There is no generated code: requests are one JSON object, a model comes as a JSON object with
its size followed by chunks of a safetensors document, and a refusal is a gRPC status whose
details are a JSON object.
"""

from __future__ import annotations

import hashlib
import json
from enum import Enum
from typing import Any

import grpc

from ...errors import RelayError

VERSION = 2

HELLO = "/p2pl.Relay/Hello"
FETCH = "/p2pl.Relay/Fetch"

CHUNK_BYTES = 1 << 20
"""Model bytes in one message; see ``benchmarks/relay_throughput.py``."""

FACTS_BYTES = 1 << 16
"""The longest message of facts that is read."""

REQUEST_OPTIONS = [
    ("grpc.max_receive_message_length", FACTS_BYTES),
    ("grpc.max_send_message_length", 2 * CHUNK_BYTES),
]
"""Of who answers: whoever reaches the port may send it facts, and no more."""

ANSWER_OPTIONS = [
    ("grpc.max_receive_message_length", CHUNK_BYTES + FACTS_BYTES),
    ("grpc.max_send_message_length", FACTS_BYTES),
]
"""Of who asks."""

MESSAGE_OPTIONS = [
    ("grpc.max_receive_message_length", 8 << 20),
    ("grpc.max_send_message_length", 8 << 20),
]
"""Between a daemon and the ClientApps of its machine."""


class Refusal(Enum):
    """Why a relay answers with no model, or why what it answered is not used."""

    STRANGER = "stranger"
    IDENTITY = "identity"
    MISMATCH = "mismatch"
    GONE = "gone"
    LATE = "late"
    ABSENT = "absent"
    BEYOND = "beyond"
    BUSY = "busy"
    LAYOUT = "layout"
    NOT_FINITE = "not-finite"
    TRUNCATED = "truncated"
    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    LOCAL = "local"


_STATUS = {
    Refusal.STRANGER: grpc.StatusCode.PERMISSION_DENIED,
    Refusal.IDENTITY: grpc.StatusCode.UNAUTHENTICATED,
    Refusal.MISMATCH: grpc.StatusCode.FAILED_PRECONDITION,
    Refusal.GONE: grpc.StatusCode.ABORTED,
    Refusal.LATE: grpc.StatusCode.NOT_FOUND,
    Refusal.BEYOND: grpc.StatusCode.OUT_OF_RANGE,
    Refusal.BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Refusal.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
}
_MOST = 1 << 63
_REFUSALS = {status: refusal for refusal, status in _STATUS.items()}


class RefusedError(RelayError):
    """A model was asked for and not given, or was given and not taken."""

    def __init__(self, refusal: Refusal, reason: str) -> None:
        self.refusal, self.reason = refusal, reason
        super().__init__(reason)


def encode(fields: dict[str, Any]) -> bytes:
    """Return one JSON object as a message."""
    return json.dumps(fields, separators=(",", ":")).encode()


def decode(message: bytes) -> dict[str, Any]:
    """Return the JSON object in a message.

    Raises
    ------
    RefusedError
        There is none, or it is longer than `FACTS_BYTES`.
    """
    if len(message) > FACTS_BYTES:
        rule = f"sent {len(message):,} bytes where at most {FACTS_BYTES:,} of facts were due"
        raise RefusedError(Refusal.MALFORMED, rule)
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise RefusedError(Refusal.MALFORMED, "sent what is no JSON object where one was due")
    return fields


def whole(fields: dict[str, Any], key: str) -> int:
    """Return an integer from a message.

    Raises
    ------
    RefusedError
        It is missing, of another type, or has more than 64 bits.
    """
    value = fields.get(key)
    if type(value) is not int or not -_MOST <= value < _MOST:
        raise RefusedError(Refusal.MALFORMED, f"sent {key}={value!r:.50}, which must be an integer")
    return value


def text(fields: dict[str, Any], key: str) -> str:
    """Return a text from a message; otherwise as `whole`."""
    value = fields.get(key)
    if type(value) is not str:
        raise RefusedError(Refusal.MALFORMED, f"sent {key}={value!r:.50}, which must be a text")
    return value


def place(fields: dict[str, Any], key: str) -> tuple[int, int]:
    """Return a round and a step from a message; otherwise as `whole`."""
    value = fields.get(key)
    if not isinstance(value, list) or len(value) != 2:
        raise RefusedError(
            Refusal.MALFORMED, f"sent {key}={value!r:.50}, which must be two numbers"
        )
    return whole({key: value[0]}, key), whole({key: value[1]}, key)


def agreed(settings: Any) -> str:
    """Return a text that is the same on both ends where protocol and settings are.

    It goes with every request for a model and before every model.
    """
    said = json.dumps([VERSION, settings], sort_keys=True).encode()
    return hashlib.blake2b(said, digest_size=12).hexdigest()


NOTHING_AGREED = agreed({})
"""Where devices are told their settings by somebody else."""


def check_agreed(own: str, theirs: object) -> None:
    """Refuse the other end of a transfer, whose protocol or settings are others.

    Raises
    ------
    RefusedError
        Its text differs.
    """
    if own != theirs:
        rule = "has other settings, or speaks another version of the protocol: its greeting tells"
        raise RefusedError(Refusal.MISMATCH, rule)


def abort(context: grpc.ServicerContext, refused: RefusedError, round_number: int) -> None:
    """End a call with a refusal that the other side can read; raises, as gRPC wants it."""
    details = encode({"reason": refused.reason, "round": round_number}).decode()
    context.abort(_STATUS[refused.refusal], details)


def read_refusal(error: grpc.RpcError) -> tuple[RefusedError, int | None]:
    """Return what a failed call says, and the round that the other side is in if it says so."""
    status, details = error.code(), error.details() or ""
    refusal = _REFUSALS.get(status)
    if refusal is None:
        late = status in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
        if late:
            return RefusedError(Refusal.LATE, "its answer has not come in time"), None
        refusal = Refusal.ABSENT
        if status in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL):
            refusal = Refusal.MALFORMED
        return RefusedError(refusal, details), None
    try:
        fields = decode(details.encode())
        return RefusedError(refusal, text(fields, "reason")), whole(fields, "round")
    except RefusedError:  # gRPC itself ended the call: one message was more than we take
        refusal = Refusal.OVERSIZED if refusal is Refusal.BUSY else refusal
        return RefusedError(refusal, details), None
