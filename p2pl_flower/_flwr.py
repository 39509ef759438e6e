"""What we use of flwr beyond its public API (``flwr.app``, ``clientapp``, ``serverapp``).

The codes of `flwr.app.Error` are public only as numbers. We must tell a device that could
not be reached (the others go on) from one whose code failed (the run ends).

Projects with a ``server_fn`` hand over parameters in a class of `flwr.common`.

Whether nodes are simulated can be seen only by the name of the grid's class, which has moved
from module to module. It matters for speed alone: see `p2pl_flower.grids.PacedGrid`.
"""

from __future__ import annotations

from typing import Any

from flwr.common import parameters_to_ndarrays
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from numpy.typing import NDArray

UNREACHABLE = frozenset(
    {
        ErrorCode.MESSAGE_UNAVAILABLE,
        ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
        ErrorCode.NODE_UNAVAILABLE,
    }
)


def ndarrays_of(parameters: Any) -> list[NDArray[Any]]:
    """Return legacy ``Parameters`` as arrays."""
    return parameters_to_ndarrays(parameters)


def is_simulated(grid: Grid) -> bool:
    """Return whether a grid's nodes live in Flower's simulation."""
    return type(grid).__name__ == "InMemoryGrid"
