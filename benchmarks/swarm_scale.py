"""How the swarm's cost grows with the number of devices, up to 10,000.

``python -m benchmarks.swarm_scale`` runs 100, 300 and 1,000 devices with 60 MNIST images
each, and 10,000 with 6 each, on random graphs of degree 10, and notes wall and CPU seconds of the
quickest round, which other work on the machine disturbs least, and the largest resident memory.
Each runs in a process of its own, so that memory is its own: alone, and then beside another job,
a process that keeps one core busy.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch

from p2pl_flower.history import Round
from p2pl_flower.swarm import Machine
from simulations.scenario import Scenario

from .swarm_common import WARM_UP, parser, seconds, swarm, write

CASES = ((100, 60), (300, 60), (1000, 60), (10_000, 6))
ROUNDS = {10_000: 3}


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    line = parser(__file__, __doc__)
    line.add_argument("--one", type=int, help="run this number of devices only, and tell")
    parsed = line.parse_args(arguments)
    if parsed.one:
        sys.stdout.write(json.dumps(_measure(parsed.one, parsed.device)))
        return 0
    alone, beside = [], []
    for devices, _ in CASES:
        alone.append(_in_process(devices, parsed.device))
        with another_job():
            beside.append(_in_process(devices, parsed.device))
    write(parsed, table(alone, beside), figures=alone, beside_another_job=beside)
    return 0


def table(
    alone: Sequence[Mapping[str, Any]], beside: Sequence[Mapping[str, Any]]
) -> list[tuple[str, ...]]:
    """Return a row for each number of devices, run alone and beside another job."""
    rows: list[tuple[str, ...]] = [
        (
            "devices",
            "images each",
            "s/round",
            "ms/round and device",
            "CPU ms",
            "s/round beside another job",
            "times",
            "s to start",
            "peak GiB",
        )
    ]
    for own, busy in zip(alone, beside, strict=True):
        devices = own["devices"]
        cells = (
            f"{own['seconds']:.3f}",
            f"{1000 * own['seconds'] / devices:.2f}",
            f"{1000 * own['cpu_seconds'] / devices:.2f}",
            f"{busy['seconds']:.3f}",
            f"{busy['seconds'] / own['seconds']:.2f}",
            f"{own['start_seconds']:.1f}",
            f"{own['peak_bytes'] / 2**30:.1f}",
        )
        rows.append((f"{devices:,}", str(dict(CASES)[devices]), *cells))
    return rows


@contextmanager
def another_job() -> Iterator[subprocess.Popen[bytes]]:
    """Keep one core busy for a while."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as job:
        try:
            yield job
        finally:
            job.kill()


def _in_process(devices: int, device: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.swarm_scale", "--one", str(devices)]
    done = subprocess.run(
        [*command, "--device", device], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _measure(devices: int, device: str) -> dict[str, Any]:
    samples = dict(CASES)[devices]
    keys = {"contenders": "p2pl", "topology": "regular:d=10", "torch-device": device}
    scenario = Scenario.load("mnist", {**keys, "num-devices": devices})
    rounds = WARM_UP + ROUNDS.get(devices, 8)
    load, spent = os.getloadavg()[0], []

    def on_round(_: Round) -> None:
        spent.append(time.process_time())

    run = swarm(scenario, Machine(device), rounds, samples=samples, on_round=on_round).run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device != "cpu":
        peak = torch.cuda.max_memory_allocated(device)
    return {
        "devices": devices,
        "seconds": round(min(seconds(run)), 4),
        "cpu_seconds": round(min(b - a for a, b in pairwise(spent[WARM_UP - 1 :])), 4),
        "load_before": round(load, 2),
        "all_seconds": [r.seconds for r in run.rounds],
        "start_seconds": run.setup["seconds"],
        "peak_bytes": peak,
    }


if __name__ == "__main__":
    sys.exit(main())
