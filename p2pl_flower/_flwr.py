"""What we use of flwr beyond its public API (``flwr.app``, ``clientapp``, ``serverapp``).

The codes of `flwr.app.Error` are public only as numbers. We must tell a device that could
not be reached (the others go on) from one whose code failed (the run ends).

Whether nodes are simulated can be seen only by the grid's class. It matters for speed alone:
see `p2pl_flower.grids.PacedGrid`.

A message with metadata of one's own can be made, but for Flower's typing it cannot: it stamps
messages itself, with the identity of the ServerApp, and a peer without a server has none.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from flwr.app import DEFAULT_TTL, Context, Message, Metadata, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.superlink.grid import InMemoryGrid

UNREACHABLE = frozenset(
    {
        ErrorCode.MESSAGE_UNAVAILABLE,
        ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
        ErrorCode.NODE_UNAVAILABLE,
    }
)


def is_simulated(grid: Grid) -> bool:
    """Return whether a grid's nodes live in Flower's simulation."""
    return isinstance(grid, InMemoryGrid)


def cue(kind: str, content: RecordDict, context: Context, round_number: int) -> Message:
    """Return a message to the node of ``context``, as if a ServerApp had sent it."""
    metadata = Metadata(
        run_id=context.run_id,
        message_id=str(uuid4()),
        src_node_id=1,  # where Flower's server would be
        dst_node_id=context.node_id,
        reply_to_message_id="",
        group_id=str(round_number),
        created_at=time.time(),
        ttl=DEFAULT_TTL,
        message_type=kind,
    )
    make: Any = Message
    message: Message = make(content=content, metadata=metadata)
    return message
