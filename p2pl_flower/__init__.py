"""Serverless peer-to-peer deep learning (P2PL) for the Flower framework.

Two lines convert a Flower project: `PeerApp` for ``ClientApp``, and ``P2PL(...)`` for
``FedAvg(...)``. Names are imported when they are first used, so that ``import p2pl_flower``
is quick, and so that what needs no flwr does not ask for it. Type checkers read the same names
from ``__init__.pyi``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

_HOME = {
    "Algorithm": "algorithms",
    "Clock": "options",
    "Codec": "algorithms.codecs",
    "Compute": "links.clock",
    "ConfigError": "errors",
    "DeviceError": "errors",
    "Elapsed": "history",
    "AutoRelay": "relay",
    "FileRelay": "relay",
    "GrpcRelay": "relay.daemon.relay",
    "History": "history",
    "LayoutError": "errors",
    "Links": "links",
    "Logger": "options",
    "Mailbox": "relay",
    "MemoryRelay": "relay",
    "Mixed": "algorithms",
    "MixingRule": "algorithms.mixing",
    "Network": "links.clock",
    "Neighbor": "topology.neighborhood",
    "Options": "options",
    "P2PL": "flower.strategy",
    "P2PLError": "errors",
    "PeerApp": "flower.peer_app",
    "PeerServerApp": "flower.server_fn",
    "Privacy": "algorithms.privacy",
    "RayRelay": "relay",
    "Relay": "relay",
    "RelayError": "errors",
    "Round": "history",
    "Run": "history",
    "Schedule": "topology",
    "Scores": "history",
    "Sending": "algorithms",
    "ServerLink": "links.clock",
    "Sharing": "sharing",
    "Slot": "relay",
    "Spread": "history",
    "StepKey": "algorithms.codecs",
    "TopologyError": "errors",
    "Training": "algorithms",
    "WeightRule": "weights",
    "WeightsError": "errors",
    "corrected": "flower.local_steps",
    "local_correction": "flower.local_steps",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import an exported name from the module that it lives in."""
    if name == "__version__":
        return version("p2pl-flower")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the exported names."""
    return sorted(_HOME)
