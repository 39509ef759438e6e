"""A comparison's page: its history, with the network that it was run over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from p2pl_flower import report
from p2pl_flower.history import History
from p2pl_flower.links import LINKS
from p2pl_flower.topology import schedule

NAME = "report.html"

_NETWORK = ("topology", "num-devices", "links", "seed", "consensus-steps", "rounds")
"""Keys that the network follows from."""


def write(history: History, path: Path) -> Path:
    """Write the page of a history whose scenario has the keys of our scenarios."""
    return report.write(history, path, network(history))


def network(history: History) -> report.Network | None:
    """Return the network of a history, made anew from its keys.

    None where there is none, or where its runs have different ones.
    """
    runs, keys = history.runs, history.scenario
    apart = any(key in run.settings for run in runs for key in _NETWORK)
    if not runs or not keys.get("topology") or apart or len({run.seed for run in runs}) > 1:
        return None
    return _network(keys, runs[0].seed, max(run.devices for run in runs))


def _network(keys: Mapping[str, Any], seed: int, devices: int) -> report.Network:
    name, rounds = str(keys["topology"]), int(keys.get("rounds", 1))
    graphs = schedule(name, devices, seed)
    losses = LINKS.of(str(keys.get("links", "perfect")), seed=seed)
    return report.Network.over(name, graphs, rounds, int(keys.get("consensus-steps", 1)), losses)
