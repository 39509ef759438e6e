"""Options of local training, and of the machine that it runs on: checked when they are made."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

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
from ..errors import ConfigError
from .losses import CROSS_ENTROPY, Loss, loss_function
from .optimizers import Maker, Optimizer, make, optimizer_maker
from .rates import Schedule, rate_schedule

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What models can be trained and scored in; float32 is the model's own precision."""

PATHS = ("perceptron", "torch.func", "one by one")
"""The ways to train (see `p2pl_flower.swarm.learner.Learner`)."""

_MOMENTUM = 0.5


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
    """Options of a round's local training.

    Parameters
    ----------
    transform : callable or None
        What changes training inputs, drawn anew for each device, epoch and sample; see
        `p2pl_flower.swarm.augmentation.Augmentation`.
    """

    local_epochs: int = option(
        1, rule=at_least(1), help="passes over the device's samples in a round"
    )
    batch_size: int = option(
        10, rule=at_least(1), help="samples in a step; the last of an epoch takes what is left"
    )
    learning_rate: float = option(
        0.05,
        rule=within("(0, inf)"),
        help="that of the first round; from Python, a function that makes an optimizer and takes "
        "no `lr` sets its own",
    )
    momentum: float = option(
        _MOMENTUM, rule=within("[0, 1)"), help="that of the optimizer `sgd`, if its text says none"
    )
    learning_rate_decay: float = option(
        1.0,
        rule=within("(0, 1]"),
        help="factor by which the learning rate falls from round to round",
    )
    learning_rate_schedule: str | Schedule = option(
        "constant",
        kind=str,
        converted=True,
        help="another factor of the learning rate: `constant`, "
        "`cosine:rounds=100,least=0.01,warmup=5`, `step:every=30,factor=0.1`; from Python, a "
        "function of the round too, from 1",
    )
    optimizer: str | Maker = option(
        "sgd",
        kind=str,
        converted=True,
        help="`sgd:momentum=0.9,nesterov=true,weight_decay=1e-4`, `adam`, `adamw`, `rmsprop`, "
        "`adagrad`; from Python, also a class of `torch.optim`, a `functools.partial` of one, or "
        "a function of a model's parameters that returns an optimizer",
    )
    reset_optimizer: bool = option(
        True,
        help="whether a device makes its optimizer anew in every round, as Flower's clients do, "
        "or goes on with the momenta and step counts that it had",
    )
    loss: str | Loss = option(
        CROSS_ENTROPY,
        kind=str,
        converted=True,
        help="`cross-entropy`, `mse`, `mae`, `huber`, `bce`; from Python, also a function of "
        "outputs and targets that returns the mean of a batch, or a value for each sample",
    )
    clip_norm: float = option(
        0.0,
        rule=within("[0, inf)"),
        help="the largest L2 norm of a device's gradient, over all its parameters; 0 is any",
    )
    train_precision: str = option(
        "float32",
        rule=one_of(*PRECISIONS),
        help="what models are trained in: float32 is their own precision, bfloat16 PyTorch's "
        "autocast",
    )
    transform: Callable[..., Any] | None = None
    rate_factor: ClassVar[float] = 1.0  # what the round's learning rate is of the first's

    def __post_init__(self) -> None:
        check_fields(self)
        if self.transform is not None and not callable(self.transform):
            rule = "must be a function of inputs, or None"
            raise ConfigError("transform", self.transform, rule)
        rate_schedule(self.learning_rate_schedule)
        loss_function(self.loss)
        optimizer_maker(self.optimizer, self.momentum)
        if self.momentum != _MOMENTUM and not self._is_sgd:
            rule = "is that of optimizer='sgd'; give another optimizer's own, as in "
            raise ConfigError("momentum", self.momentum, rule + "'rmsprop:momentum=0.9'")

    @property
    def _is_sgd(self) -> bool:
        return isinstance(self.optimizer, str) and self.optimizer.partition(":")[0] == "sgd"

    @property
    def is_momentum_sgd(self) -> bool:
        """Whether a step is SGD with momentum and nothing else."""
        plain = not self.clip_norm and self.reset_optimizer
        return plain and self.optimizer == "sgd" and self.train_precision == "float32"

    def in_round(self, number: int) -> TrainOptions:
        r"""Return the options of a round, from 1.

        Its rate is :math:`\eta d^{t - 1} f(t)` in round t, f being the schedule.
        """
        factor = self.learning_rate_decay ** (number - 1)
        factor *= rate_schedule(self.learning_rate_schedule)(number)
        if not 0 <= factor < math.inf:
            rule = f"must give factors of 0 or more, but round {number} has {factor}"
            raise ConfigError("learning-rate-schedule", self.learning_rate_schedule, rule)
        made = copy.copy(self)
        for name, value in (
            ("learning_rate", self.learning_rate * factor),
            ("learning_rate_decay", 1.0),
            ("learning_rate_schedule", "constant"),
            ("rate_factor", self.rate_factor * factor),
        ):
            object.__setattr__(made, name, value)  # checked already; 0 is valid here
        return made

    def make_optimizer(self, params: Iterable[Tensor]) -> Optimizer:
        """Return an optimizer of parameters for this round (see `in_round`)."""
        maker = optimizer_maker(self.optimizer, self.momentum)
        return make(maker, list(params), self.learning_rate, self.rate_factor)

    def describe(self) -> dict[str, str | int | float | bool | None]:
        """Return the options as JSON takes them; functions by their names."""
        each = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: plain(value) for name, value in each.items()}


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
    path: str | None = option(
        None,
        rule=one_of(*PATHS),
        help="which of the learners trains; None is the one that is quickest, of those that take "
        "the model",
    )
    compile: bool = option(
        False,
        help="whether steps on full mini-batches are compiled by `torch.compile`, which takes a "
        "minute or so before the first round and, on a CPU, a C++ compiler. Results do not depend "
        "on it, but for rounding",
    )
    keep_memory: bool = option(
        False,
        help="whether the C library keeps what is freed for the next step, in the whole process "
        "and after the run too, instead of handing it back to the system",
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


def plain(value: Any) -> str | int | float | bool | None:
    """Return an option's value as JSON takes it: a function by its name."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, partial):
        keywords = ", ".join(f"{key}={part!r}" for key, part in value.keywords.items())
        return f"{plain(value.func)}({keywords})"
    named = getattr(value, "__qualname__", None)
    return f"{value.__module__}.{named}" if named else " ".join(repr(value).split())
