"""What was tried to make the swarm's local training quick, and what each gave.

``python -m benchmarks.swarm_layouts`` trains the same round (MNIST, 100 devices with 600
images, 784-200-200-10 perceptron, batches of 10) in several ways, in turn, and notes the
median seconds of each: the layer's form, the learner, the chunk, threads.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch

from p2pl_flower.swarm import Machine, Swarm, products
from p2pl_flower.swarm.options import cores
from p2pl_flower.swarm.perceptron import learner, rules
from simulations.scenario import Scenario

from .swarm_common import median, parser, seconds, swarm, write

ROUNDS = 6


@dataclass(frozen=True)
class Way:
    """One way to train.

    Attributes
    ----------
    learner : str
        ``dual`` and ``plain`` write backpropagation out, with the first layer in either
        form; ``torch.func`` maps the module's gradient.
    chunk, workers : int
        Devices in a batched step; threads.
    onednn : bool
        Whether large products go through oneDNN, or all through MKL.
    """

    learner: str
    chunk: int
    workers: int
    onednn: bool = True


def ways() -> list[Way]:
    """Return all that is compared."""
    count = cores()
    return [
        *(Way("dual", chunk, count) for chunk in (1, 2, 5, 10, 16, 25, 50)),
        Way("dual", 16, count, onednn=False),
        Way("dual", 100, 1),
        *(Way("plain", chunk, count) for chunk in (2, 5, 10, 25)),
        Way("plain", 100, 1),
        *(Way("torch.func", chunk, count) for chunk in (2, 10, 25)),
        Way("torch.func", 100, 1),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    line = parser(__file__, __doc__)
    line.add_argument("--repeats", type=int, default=2, help="times that all are run")
    parsed = line.parse_args(arguments)
    scenario = Scenario.load("mnist", {"contenders": "p2pl"})
    measured: dict[Way, list[float]] = {way: [] for way in ways()}
    for _ in range(parsed.repeats):
        for way, found in measured.items():
            found.extend(_measure(scenario, way))
    table = [
        ("learner", "chunk", "threads", "large products", "s/round"),
        *(
            (
                way.learner,
                str(way.chunk),
                f"{way.workers} of 1" if way.workers > 1 else f"1 of {cores()}",
                "oneDNN" if way.onednn else "MKL",
                f"{median(found):.3f}",
            )
            for way, found in measured.items()
        ),
    ]
    compiled = _compiled()
    write(
        parsed,
        table,
        seconds=[{**vars(w), "seconds": found} for w, found in measured.items()],
        compiled=compiled,
    )
    sys.stdout.write(f"\n{compiled}\n")
    return 0


def _measure(scenario: Scenario, way: Way) -> list[float]:
    with _as(way):
        made: Swarm = swarm(
            scenario, Machine("cpu", way.chunk, way.workers, keep_memory=True), ROUNDS
        )
        return seconds(made.run())


@contextmanager
def _as(way: Way) -> Iterator[None]:
    """Make the library take another way than its own choice."""
    dual = 2.0 if way.learner == "dual" else 0.0
    fits = learner.PerceptronLearner.fits
    if way.learner == "torch.func":
        fits = mock.Mock(return_value=False)
    onednn = products._ONEDNN if way.onednn else None
    with (
        mock.patch.object(rules, "DUAL_UP_TO", dual),
        mock.patch.object(learner.PerceptronLearner, "fits", staticmethod(fits)),
        mock.patch.object(products, "_ONEDNN", onednn),
    ):
        yield


def _compiled() -> dict[str, Any]:
    """Return what torch.compile makes of the mapped gradient of 16 devices, on one thread."""
    from p2pl_flower.swarm.functional import FunctionalLearner
    from p2pl_flower.swarm.options import TrainOptions
    from p2pl_flower.swarm.stack import Stack
    from simulations import models

    module = models.build("mlp", (1, 28, 28), 10, seed=0)
    mapped = FunctionalLearner(module, TrainOptions()).mapped({})
    stack = Stack(module, 16)
    stack.put(slice(None), module.state_dict())
    batch = torch.randn(16, 10, 1, 28, 28), torch.zeros(16, 10, dtype=torch.int64)
    inputs: tuple[Any, ...] = (dict(stack.tensors), {}, *batch)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    eager = _best(lambda: mapped(*inputs))
    started = time.perf_counter()
    compiled = torch.compile(lambda *given: mapped(*given))
    compiled(*inputs)
    spent = time.perf_counter() - started
    quick = _best(lambda: compiled(*inputs))
    torch.set_num_threads(before)
    return {"eager_seconds": eager, "compiled_seconds": quick, "seconds_to_compile": spent}


def _best(call: Callable[[], Any], times: int = 20) -> float:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return min(found)


if __name__ == "__main__":
    sys.exit(main())
