"""Options of local training, and of the machine that it runs on: checked when they are made."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import torch

from ..config import (
    Option,
    Rule,
    at_least,
    check_fields,
    described,
    one_of,
    option,
    within,
)

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What models can be scored in."""


EVALUATE_PRECISION = Option(
    "what models are scored in; bfloat16 takes about half the time on processors that have it, "
    "and decides a few images otherwise",
    one_of(*PRECISIONS),
    default="float32",
    name="evaluate-precision",
    kind=str,
)
TORCH_DEVICE = Option(
    "what PyTorch runs on: `cpu`, `cuda` or, of several, `cuda:1`",
    Rule("'cpu', 'cuda' or 'cuda:INDEX'", lambda text: text.partition(":")[0] in ("cpu", "cuda")),
    default="cpu",
    name="torch-device",
    kind=str,
)


@described
@dataclass(frozen=True)
class TrainOptions:
    """Options of a round's local training."""

    local_epochs: int = option(
        1, rule=at_least(1), help="passes over the device's samples in a round"
    )
    batch_size: int = option(
        10, rule=at_least(1), help="samples in a step; the last of an epoch takes what is left"
    )
    learning_rate: float = option(
        0.05, rule=within("(0, inf)"), help="of stochastic gradient descent"
    )
    momentum: float = option(
        0.5, rule=within("[0, 1)"), help="its momentum, which starts from zero in every round"
    )
    learning_rate_decay: float = option(
        1.0,
        rule=within("(0, 1]"),
        help="factor by which the learning rate falls from round to round",
    )

    def __post_init__(self) -> None:
        check_fields(self)

    def in_round(self, number: int) -> TrainOptions:
        r"""Return the options of a round, from 1: the rate :math:`\eta d^{t - 1}` in round t."""
        rate = self.learning_rate * self.learning_rate_decay ** (number - 1)
        return replace(self, learning_rate=rate, learning_rate_decay=1.0)


@described
@dataclass(frozen=True)
class Machine:
    """Where a swarm runs, and in what portions."""

    torch_device: str = TORCH_DEVICE.field()
    chunk: int | None = option(
        None,
        rule=at_least(1),
        help="devices that train together as one batched step; None picks what suits the CPU's "
        "cache or the GPU's memory. Results do not depend on it, but for rounding and for the "
        "draws of random layers (dropout)",
    )
    workers: int | None = option(
        None,
        rule=at_least(1),
        help="threads that train chunks side by side, each on one core; None is one for each "
        "core on a CPU, and one on a GPU",
    )

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def is_cpu(self) -> bool:
        """Whether it runs on the CPU."""
        return self.torch_device == "cpu"

    @property
    def threads(self) -> int:
        """Number of worker threads."""
        if self.workers is not None:
            return self.workers
        return cores() if self.is_cpu else 1


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
