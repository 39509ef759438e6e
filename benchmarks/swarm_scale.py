"""How the swarm's cost grows with the number of devices, up to 10,000.

``python -m benchmarks.swarm_scale`` runs 100, 300 and 1,000 devices with 60 MNIST images
each, and 10,000 with 6 each, on random graphs of degree 10, and notes seconds a round and
the largest resident memory. Each runs in a process of its own, so that memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import Any

import torch

from p2pl_flower.swarm import Machine
from simulations.scenario import Scenario

from .swarm_common import WARM_UP, median, parser, seconds, swarm, write

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
    figures = [_in_process(devices, parsed.device) for devices, _ in CASES]
    table = [
        ("devices", "images each", "s/round", "ms/round and device", "s to start", "peak GiB"),
        *(
            (
                f"{f['devices']:,}",
                str(samples),
                f"{f['seconds']:.3f}",
                f"{1000 * f['seconds'] / f['devices']:.2f}",
                f"{f['start_seconds']:.1f}",
                f"{f['peak_bytes'] / 2**30:.1f}",
            )
            for f, (_, samples) in zip(figures, CASES, strict=True)
        ),
    ]
    write(parsed, table, figures=figures)
    return 0


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
    run = swarm(scenario, Machine(device), rounds, samples=samples).run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device != "cpu":
        peak = torch.cuda.max_memory_allocated(device)
    return {
        "devices": devices,
        "seconds": median(seconds(run)),
        "all_seconds": [r.seconds for r in run.rounds],
        "start_seconds": run.setup["seconds"],
        "peak_bytes": peak,
    }


if __name__ == "__main__":
    sys.exit(main())
