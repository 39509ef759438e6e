"""Settings files of small networks on loopback, and processes that run them."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import networkx as nx
import tomli_w

from p2pl_flower.cli import main
from p2pl_flower.history import History
from p2pl_flower.named_arrays import Model
from p2pl_flower.serverless.checkpoint import find, model_in
from p2pl_flower.serverless.cluster import free_ports
from p2pl_flower.serverless.peer import ServerlessPeer
from p2pl_flower.serverless.reports import Report
from p2pl_flower.serverless.settings import Settings


def settings(graph: nx.Graph, folder: Path, **common: Any) -> dict[int, dict[str, Any]]:
    """Return each device's settings; ``common`` keys have ``_`` for ``-``."""
    ports = free_ports(len(graph))
    common = {name.replace("_", "-"): value for name, value in common.items()}
    made = {}
    for d in graph:
        made[d] = {
            "device": d,
            "num-devices": len(graph),
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


def start(values: Mapping[str, Any], folder: Path) -> multiprocessing.Process:
    """Start one device: the command, in a process of its own that has it imported already."""
    file = folder / f"device-{values['device']}.toml"
    file.write_text(tomli_w.dumps(dict(values)))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["p2pl_flower.commands.peer", "numbers_app", "devices"])
    process = context.Process(target=command, args=(str(file),), daemon=True)
    process.start()
    return process


def command(file: str) -> None:
    """Run ``p2pl-flower peer`` with its output in a file."""
    with Path(file).with_suffix(".log").open("ab") as log:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
    sys.exit(main(["peer", file]))


def ended(process: multiprocessing.Process, seconds: float) -> int | None:
    """Wait for a process and return its exit code; None if it still runs."""
    process.join(seconds)
    return process.exitcode


def history(folder: Path, device: int) -> History:
    return History.load(folder / f"device-{device}.json")


def run_here(
    made: Mapping[int, Mapping[str, Any]], on_round: Callable[[Report], None] | None = None
) -> None:
    """Run devices as threads of this process: quicker where processes are not the point."""
    peers = [ServerlessPeer(Settings.of(values), on_round) for values in made.values()]
    try:
        with ThreadPoolExecutor(len(peers)) as pool:
            list(pool.map(lambda peer: peer.run(), peers))
    finally:
        for peer in peers:
            peer.close()


def own_model(values: Mapping[str, Any]) -> Model:
    """Return the model in a device's checkpoint."""
    return model_in(find(Path(values["checkpoint"])))


def setup_of(folder: Path, device: int) -> Mapping[str, Any]:
    [run] = history(folder, device).runs
    return run.setup
