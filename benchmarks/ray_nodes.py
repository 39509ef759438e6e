"""The swarm on two nodes of a Ray cluster beside one: ``python -m benchmarks.ray_nodes``.

All nodes are on this machine: each has one CPU by Ray's count, and its processes are pinned to
one core. The cnn trains on MNIST, 600 images a device; nothing is scored. Both are run in turn,
in a process of their own, several times over. Noted are the least wall seconds of a round, and
the least CPU seconds of the node that has most to do, which other work on the machine disturbs
little: a round of nodes that wait for nothing takes as long as that. The process that drives
them is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from p2pl_flower.swarm import RayCluster
from simulations.scenario import Scenario

from .peers.clock import cpu_seconds
from .swarm_common import swarm, write

NODES = (1, 2)
ASKED = 1.6


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    line = argparse.ArgumentParser(description=__doc__)
    line.set_defaults(file=Path(__file__), device="cpu")
    line.add_argument("--out", type=Path, help="default: beside the benchmark")
    line.add_argument("--devices", type=int, default=20, help="how many (20)")
    line.add_argument("--rounds", type=int, default=4, help="rounds to measure (4)")
    line.add_argument("--repeats", type=int, default=3, help="times that both are run (3)")
    line.add_argument("--nodes", type=int, help="run this number of nodes only, and tell")
    parsed = line.parse_args(arguments)
    if parsed.nodes:
        sys.stdout.write("\n" + json.dumps(_measure(parsed.nodes, parsed.devices, parsed.rounds)))
        return 0
    repeats = [
        _in_process(nodes, parsed.devices, parsed.rounds)
        for _ in range(parsed.repeats)
        for nodes in NODES
    ]
    write(parsed, table(repeats), asked=ASKED, devices=parsed.devices, repeats=repeats)
    return 0


def table(repeats: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return a row for each number of nodes, with how many times one node's speed it has."""
    rows: list[tuple[str, ...]] = [
        ("nodes", "s/round", "times as quick", "busiest node's CPU s", "times as quick by that")
    ]
    least = {
        nodes: [
            min(second for r in repeats if r["nodes"] == nodes for second in r[key])
            for key in ("seconds", "busiest_cpu_seconds")
        ]
        for nodes in NODES
    }
    for nodes, figures in least.items():
        cells = [
            f"{f:.2f}"
            for pair in zip(figures, _times(least[1], figures), strict=True)
            for f in pair
        ]
        rows.append((str(nodes), *cells))
    return rows


def _times(one: Sequence[float], own: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(one, own, strict=True)]


def _in_process(nodes: int, devices: int, rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.ray_nodes", f"--nodes={nodes}"]
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [*command, f"--devices={devices}", f"--rounds={rounds}"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **one, "RAY_ADDRESS": ""},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure(nodes: int, devices: int, rounds: int) -> dict[str, Any]:
    """Run on a cluster; return wall and CPU seconds of each round but the first."""
    keys = {"contenders": "p2pl", "model": "cnn", "topology": "regular:d=6"}
    scenario = Scenario.load("mnist", {**keys, "num-devices": devices})
    samples, load, spent = 600, os.getloadavg()[0], []
    with cluster(nodes) as (address, raylets):
        made = swarm(
            scenario,
            RayCluster(address=address),
            rounds + 1,
            samples=samples,
            on_round=lambda _: spent.append([cpu_seconds(raylet) for raylet in raylets]),
        )
        run = made.run()
    between = [[round(b - a, 2) for a, b in zip(*ends, strict=True)] for ends in pairwise(spent)]
    return {
        "nodes": nodes,
        "load_before": round(load, 2),
        "seconds": [round(r.seconds or 0.0, 3) for r in run.rounds[1:]],
        "cpu_seconds": between,
        "busiest_cpu_seconds": [max(each) for each in between],
    }


@contextmanager
def cluster(nodes: int) -> Iterator[tuple[str, list[int]]]:
    """Start nodes of one CPU, each pinned to a core; give the address and the raylets' ids."""
    import ray
    from ray.cluster_utils import Cluster

    cores = sorted(os.sched_getaffinity(0))[:nodes]
    made, raylets = Cluster(), []
    try:
        for core in cores:
            os.sched_setaffinity(0, {core})  # what a node starts is where it was started
            node = made.add_node(num_cpus=1, include_dashboard=False)
            raylets.append(node.all_processes["raylet"][0].process.pid)
        os.sched_setaffinity(0, cores)
        made.wait_for_nodes()
        yield made.address, raylets
    finally:
        ray.shutdown()
        made.shutdown()


if __name__ == "__main__":
    sys.exit(main())
