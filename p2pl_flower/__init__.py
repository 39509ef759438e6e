"""Serverless peer-to-peer deep learning (P2PL) for the Flower framework.

Two lines convert a Flower project: `PeerApp` for ``ClientApp``, and ``P2PL(...)`` for
``FedAvg(...)``. Names are imported when they are first used, so that ``import p2pl_flower``
is quick, and so that what needs no flwr does not ask for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .algorithms import Algorithm
    from .errors import (
        ConfigError,
        DeviceError,
        LayoutError,
        P2PLError,
        RelayError,
        TopologyError,
        WeightsError,
    )
    from .flower.local_steps import corrected, local_correction
    from .flower.peer_app import PeerApp
    from .flower.server_fn import PeerServerApp
    from .flower.strategy import P2PL
    from .history import History
    from .options import Options
    from .relay import FileRelay, MemoryRelay, RayRelay, Relay
    from .relay.daemon.relay import GrpcRelay

__version__ = "0.1.0"

_HOME = {
    "P2PL": "flower.strategy",
    "ConfigError": "errors",
    "DeviceError": "errors",
    "FileRelay": "relay",
    "GrpcRelay": "relay.daemon.relay",
    "History": "history",
    "LayoutError": "errors",
    "MemoryRelay": "relay",
    "Options": "options",
    "P2PLError": "errors",
    "corrected": "flower.local_steps",
    "local_correction": "flower.local_steps",
    "Algorithm": "algorithms",
    "PeerApp": "flower.peer_app",
    "PeerServerApp": "flower.server_fn",
    "RayRelay": "relay",
    "Relay": "relay",
    "RelayError": "errors",
    "TopologyError": "errors",
    "WeightsError": "errors",
}

__all__ = [
    "P2PL",
    "Algorithm",
    "ConfigError",
    "DeviceError",
    "FileRelay",
    "GrpcRelay",
    "History",
    "LayoutError",
    "MemoryRelay",
    "Options",
    "P2PLError",
    "PeerApp",
    "PeerServerApp",
    "RayRelay",
    "Relay",
    "RelayError",
    "TopologyError",
    "WeightsError",
    "corrected",
    "local_correction",
]


def __getattr__(name: str) -> Any:
    """Import an exported name from the module that it lives in."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the exported names."""
    return sorted(__all__)
