"""Settings files of small networks on loopback, and processes that run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import tomli_w

from p2pl_flower.history import History
from p2pl_flower.node.cluster import _free_ports

HERE = Path(__file__).parent


def settings(graph: nx.Graph, folder: Path, **common: Any) -> dict[int, dict[str, Any]]:
    """Return each device's settings; ``common`` keys have ``_`` for ``-``."""
    ports = _free_ports(len(graph))
    common = {name.replace("_", "-"): value for name, value in common.items()}
    made = {}
    for d in graph:
        made[d] = {
            "device": d,
            "devices": len(graph),
            "listen": f"127.0.0.1:{ports[d]}",
            "app": "numbers_app:peer_app",
            "rounds": 3,
            "sync-steps": nx.diameter(graph),
            "insecure": "certificates" not in common,
            "checkpoint": str(folder / f"device-{d}"),
            "history": str(folder / f"device-{d}.json"),
            "neighbors": {str(j): f"127.0.0.1:{ports[j]}" for j in sorted(graph[d])},
            "linger": 10,
            **common,
        }
    return made


def start(values: Mapping[str, Any], folder: Path) -> subprocess.Popen[bytes]:
    """Start one device as a user would: with a file, by the command."""
    file = folder / f"device-{values['device']}.toml"
    file.write_text(tomli_w.dumps(dict(values)))
    log = (folder / f"device-{values['device']}.log").open("ab")
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "p2pl_flower", "peer", str(file)],
        stdout=log,
        stderr=log,
        env={**os.environ, "PYTHONPATH": path},
    )


def history(folder: Path, device: int) -> History:
    return History.load(folder / f"device-{device}.json")
