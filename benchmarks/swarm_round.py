"""Seconds a round of the swarm takes, beside Flower's FedAvg and bare matrix products.

``python -m benchmarks.swarm_round`` runs in turn, several times over, on the MNIST scenario
(100 devices with 600 images, 784-200-200-10 perceptron, batches of 10, one epoch, one
consensus step on Erdos-Renyi p=0.1): rounds of the swarm, every other one with all models scored
twice on the whole test set (half of what makes these longer is given), the bare matrix products
of such a round done step by step, and, unless ``--no-flower`` is given, rounds of Flower's own
FedAvg on its Ray simulation.
"""

from __future__ import annotations

import sys
import time
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from p2pl_flower.swarm import PRECISIONS, Machine, Swarm
from p2pl_flower.swarm.mixing import consensus_distance
from p2pl_flower.swarm.options import cores
from p2pl_flower.swarm.workers import Workers
from simulations.scenario import Scenario
from strategies import contender

from .swarm_common import WARM_UP, median, parser, seconds, swarm, write

SIZES = (784, 200, 200, 10)
BATCH = 10


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    line = parser(__file__, __doc__)
    line.add_argument("--repeats", type=int, default=3, help="times that all are run")
    line.add_argument("--rounds", type=int, default=10, help="rounds of each kind to measure")
    line.add_argument("--no-flower", action="store_true", help="leave Flower's FedAvg out")
    parsed = line.parse_args(arguments)
    scenario = Scenario.load("mnist", {"contenders": "p2pl", "torch-device": parsed.device})
    repeats = [_measure(scenario, parsed) for _ in range(parsed.repeats)]
    medians = {key: median([r[key] for r in repeats]) for key in repeats[0]}
    table = [
        ("what", "seconds", "times a round of the swarm"),
        *(
            (key, f"{value:.3f}", f"{median([r[key] / r['swarm round'] for r in repeats]):.2f}")
            for key, value in medians.items()
        ),
    ]
    write(parsed, table, scenario=scenario.keys(), medians=medians, repeats=repeats)
    return 0


def _measure(scenario: Scenario, parsed: Any) -> dict[str, float]:
    machine, total = Machine(parsed.device), WARM_UP + parsed.rounds
    plain, scoring = [], {}
    for precision in PRECISIONS:
        scored = Scenario.of({**scenario.keys(), "evaluate-precision": precision})
        made = swarm(scored, machine, WARM_UP + 2 * parsed.rounds, evaluate_every=2)
        taken = seconds(made.run())
        plain += taken[::2]
        more = median(taken[1::2]) - median(taken[::2]) - _distance(made)
        scoring[f"scoring all models, {precision}"] = more / 2
    measured = {"swarm round": median(plain), **scoring}
    measured["bare matrix products"] = _bare(parsed.device, scenario.num_devices, 60)
    if not parsed.no_flower:
        measured["Flower FedAvg round"] = _flower(scenario, total)
    return measured


def _distance(made: Swarm) -> float:
    """Return the seconds that the consensus distance takes, which comes with the scores."""
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        consensus_distance(made.stack)
        taken.append(time.perf_counter() - started)
    return median(taken)


def _flower(scenario: Scenario, total: int) -> float:
    from simulations.flower_engine import run_contender

    changed = Scenario.of({**scenario.keys(), "rounds": total + 1, "evaluate-every": total + 1})
    run = run_contender(changed, contender("fedavg"), lambda *_: None)
    return median([r.seconds for r in run.rounds[WARM_UP:-1] if r.seconds is not None])


def _bare(device: str, devices: int, steps: int) -> float:
    """Return the seconds that the products of a round take, and nothing but them."""
    count = cores() if device == "cpu" else 1
    chunk = 10 if device == "cpu" else devices
    layers = list(pairwise(SIZES))
    with Workers(lambda: _tensors(chunk, layers, device), count) as workers:
        chunks = [steps] * (devices // chunk)
        workers.map(_products, [1] * count)
        started = time.perf_counter()
        workers.map(_products, chunks)
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - started


def _tensors(
    chunk: int, layers: list[tuple[int, int]], device: str
) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    return [
        (
            torch.randn(chunk, BATCH, inputs, device=device),
            torch.randn(chunk, outputs, inputs, device=device),
            torch.randn(chunk, BATCH, outputs, device=device),
            torch.empty(chunk, outputs, inputs, device=device),
        )
        for inputs, outputs in layers
    ]


def _products(layers: list[tuple[Tensor, Tensor, Tensor, Tensor]], steps: int) -> None:
    for _ in range(steps):
        for place, (inputs, weight, delta, gradient) in enumerate(layers):
            torch.bmm(inputs, weight.mT)
            torch.bmm(delta.mT, inputs, out=gradient)
            if place:
                torch.bmm(delta, weight)


if __name__ == "__main__":
    sys.exit(main())
