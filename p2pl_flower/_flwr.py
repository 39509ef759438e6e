"""What we use of flwr beyond its public API (``flwr.app``, ``clientapp``, ``serverapp``).

The codes of `flwr.app.Error` are public only as numbers. We must tell a device that could
not be reached (the others go on) from one whose code failed (the run ends).

Whether nodes are simulated can be seen only by the grid's class. It matters for speed alone:
see `p2pl_flower.grids.PacedGrid`.
"""

from __future__ import annotations

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
