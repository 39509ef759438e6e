"""What slow devices cost by the simulated clock, with rounds and without.

``python -m benchmarks.stragglers`` trains 20 devices on MNIST (3,000 images each, 784-200-200-10
perceptron, Erdos-Renyi p=0.3, Wi-Fi), synchronously and asynchronously, once with all equally
quick and once with a fifth of them ten times slower. It notes the simulated seconds
until the devices' mean accuracy is 97 %, between two measurements by a straight line, and how many
times those without slow devices that is. Models are scored on 2,000 of the test images. Runs that
its JSON has already are not made again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from p2pl_flower.history import Run, environment
from p2pl_flower.links.clock import COMPUTES
from simulations.scenario import Scenario
from simulations.swarm_engine import make_swarm

from .swarm_common import parser

LEVEL, DEVICES = 0.97, 20
COMPUTE = {"none slow": "constant", "a fifth slow": "stragglers:share=0.2,factor=10,seed=4"}
MODES = {
    "sync": {"consensus-steps": 1, "rounds": 14},
    "async": {"consensus-steps": 1, "rounds": 18},
}
SCENARIO: Mapping[str, Any] = {
    "contenders": "p2pl",
    "dataset": "mnist",
    "num-devices": DEVICES,
    "topology": "erdos-renyi:p=0.3",
    "network": "wifi",
    "learning-rate": 0.1,
    "learning-rate-decay": 0.97,
    "evaluate-every": 1,
    "evaluate-trained": False,
    "max-test-samples": 2000,
}


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, write the JSON and print a summary."""
    line = parser(__file__, __doc__)
    line.add_argument("--at-most", type=int, default=4, help="runs to make in this call")
    parsed = line.parse_args(arguments)
    out = parsed.out or Path(__file__).with_suffix(".json")
    kept = json.loads(out.read_text()) if out.is_file() else {}
    curves: dict[str, list[list[float]]] = kept.get("curves", {})
    every = [(mode, slow) for mode in reversed(MODES) for slow in COMPUTE]
    missing = [(mode, slow) for mode, slow in every if f"{mode}, {slow}" not in curves]
    for mode, slow in missing[: parsed.at_most]:
        curves[f"{mode}, {slow}"] = curve(run(mode, slow))
        _write(out, curves)
    sys.stdout.write("".join(" | ".join(row) + "\n" for row in table(curves)))
    return 0


def run(mode: str, slow: str) -> Run:
    """Run all rounds."""
    scenario = Scenario.of({**SCENARIO, "mode": mode, "compute": COMPUTE[slow], **MODES[mode]})
    [contender] = scenario.named_contenders()
    swarm = make_swarm(scenario, contender, _show)
    return swarm.run()


def curve(run: Run) -> list[list[float]]:
    """Return simulated seconds, mean and worst accuracy by round."""
    seconds, points = float(run.setup["clock_seconds"]), []
    for measured in run.rounds:
        scores, clock = measured.after_consensus, measured.clock
        if scores is not None and scores.accuracy is not None and clock is not None:
            seconds += clock.seconds
            points.append(
                [round(seconds, 3), round(scores.accuracy.mean, 5), round(scores.accuracy.min, 5)]
            )
    return points


def reached(points: Sequence[Sequence[float]]) -> float | None:
    """Return when the mean accuracy first is at the level; None where it never is."""
    before, low = 0.0, 0.0
    for seconds, mean, _ in points:
        if mean >= LEVEL:
            return before + (seconds - before) * (LEVEL - low) / (mean - low)
        before, low = seconds, mean
    return None


def table(curves: Mapping[str, Sequence[Sequence[float]]]) -> list[list[str]]:
    """Return a row for each mode: seconds to the level with and without slow devices."""
    rows = [["mode", *(f"seconds, {slow}" for slow in COMPUTE), "times"]]
    for mode in MODES:
        times = [reached(curves.get(f"{mode}, {slow}", [])) for slow in COMPUTE]
        ratio = f"{times[1] / times[0]:.2f}" if times[0] and times[1] else "-"
        rows.append([mode, *(f"{t:.1f}" if t else "-" for t in times), ratio])
    return rows


def slow_devices() -> list[int]:
    """Return which devices are slow where a fifth is."""
    speeds = COMPUTES.make(COMPUTE["a fifth slow"]).speed_of(np.arange(DEVICES), 1)
    return [int(device) for device in np.flatnonzero(speeds < speeds.max())]


def _write(path: Path, curves: Mapping[str, Any]) -> None:
    content = {
        "environment": environment(),
        "scenario": {**SCENARIO, **MODES, **COMPUTE, "level": LEVEL, "slow": slow_devices()},
        "table": table(curves),
        "curves": curves,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _show(name: str, measured: Any) -> None:
    spread = measured.after_consensus.accuracy
    sys.stderr.write(f"{measured.round:3d} {measured.clock.seconds:8.2f} s {spread.mean:.4f}\n")


if __name__ == "__main__":
    sys.exit(main())
