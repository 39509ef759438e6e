"""Rounds with steps that ``torch.compile`` has compiled, beside the same rounds as they are.

``python -m benchmarks.swarm_compile`` trains networks on random samples, in turn, and notes the
least CPU seconds of a round in both ways; and, apart, the seconds that compiling took before.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import torch
from torch import Tensor

from p2pl_flower.options import Options
from p2pl_flower.swarm import Gossip, Job, Machine, Swarm, TrainOptions
from p2pl_flower.swarm.block import Block
from p2pl_flower.topology import schedule
from simulations import models

from .swarm_common import parser, write
from .swarm_memory import WORDS, Transformer

BATCH, SAMPLES = 10, 200

WORK: list[tuple[str, str, Any, tuple[int, ...] | None]] = [
    ("mlp", "torch.func", lambda s: models.build("mlp", (1, 28, 28), 10, s), (1, 28, 28)),
    ("transformer", "torch.func", Transformer, None),
    ("transformer", "one by one", Transformer, None),
    ("cnn", "one by one", lambda s: models.build("cnn", (1, 28, 28), 10, s), (1, 28, 28)),
]
"""Networks, ways to train, and shapes of an image; None for words."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    line = parser(__file__, __doc__)
    line.add_argument("--devices", type=int, default=20, help="how many (20)")
    line.add_argument("--rounds", type=int, default=4, help="rounds of each, in turn (4)")
    parsed = line.parse_args(arguments)
    table: list[tuple[str, ...]] = [
        ("network", "path", "as it is", "compiled", "times", "s before")
    ]
    found = []
    for name, path, factory, shape in WORK:
        measured = measure(path, factory, shape, parsed.devices, parsed.rounds)
        found.append({"network": name, "path": path, **measured})
        plain, compiled = measured["plain"], measured["compiled"]
        shown = f"{plain:.3f}", f"{compiled:.3f}", f"{plain / compiled:.2f}"
        table.append((name, path, *shown, f"{measured['compiling']:.0f}"))
    write(parsed, table, cpu_seconds=found, devices=parsed.devices)
    return 0


def measure(
    path: str, factory: Any, shape: tuple[int, ...] | None, devices: int, rounds: int
) -> dict[str, float]:
    """Return the least CPU seconds of a round in both ways, taken in turn."""
    data = [(_inputs(shape), torch.randint(0, 10, (SAMPLES,))) for _ in range(devices)]
    ways = {name: _swarm(factory, data, path, name == "compiled") for name in ("plain", "compiled")}
    least = dict.fromkeys(ways, float("inf"))
    with ways["plain"].block, ways["compiled"].block:
        for made in ways.values():
            made.start()
        for number in range(1, rounds + 1):
            for name, made in ways.items():
                started = time.process_time()
                made.block.train(made.plan.trains(number), number)
                least[name] = min(least[name], time.process_time() - started)
        block = ways["compiled"].block
    return {**least, "compiling": block.compile_seconds if isinstance(block, Block) else 0.0}


def _inputs(shape: tuple[int, ...] | None) -> Tensor:
    return (
        torch.randint(0, 100, (SAMPLES, WORDS)) if shape is None else torch.randn(SAMPLES, *shape)
    )


def _swarm(factory: Any, data: list[tuple[Tensor, Tensor]], path: str, compiled: bool) -> Swarm:
    training = TrainOptions(batch_size=BATCH, optimizer="adamw", learning_rate=1e-3)
    machine = Machine(path=path, compile=compiled, keep_memory=True)
    job = Job(factory, data, None, training=training, machine=machine, rounds=1)
    counts: Any = [SAMPLES] * len(data)
    return Swarm(job, Gossip(schedule("ring", len(data), 0), Options(), counts))


if __name__ == "__main__":
    sys.exit(main())
