"""Options of local training, and of the machine that it runs on: checked when they are made."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace

import torch

from ..errors import ConfigError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What models can be scored in."""


@dataclass(frozen=True)
class TrainOptions:
    """Options of a round's local training.

    Attributes
    ----------
    local_epochs : int
        Passes over the device's samples.
    batch_size : int
        Samples in a step; the last step of an epoch takes what is left.
    learning_rate, momentum : float
        Of stochastic gradient descent; the momentum starts from zero in every round.
    learning_rate_decay : float
        Factor by which the learning rate falls from round to round, in (0, 1].
    """

    local_epochs: int = 1
    batch_size: int = 10
    learning_rate: float = 0.05
    momentum: float = 0.5
    learning_rate_decay: float = 1.0

    def __post_init__(self) -> None:
        _require("local-epochs", self.local_epochs, self.local_epochs >= 1, "must be 1 or more")
        _require("batch-size", self.batch_size, self.batch_size >= 1, "must be 1 or more")
        positive = 0 < self.learning_rate < math.inf
        _require("learning-rate", self.learning_rate, positive, "must be a positive number")
        _require("momentum", self.momentum, 0 <= self.momentum < 1, "must be in [0, 1)")
        decays = 0 < self.learning_rate_decay <= 1
        _require("learning-rate-decay", self.learning_rate_decay, decays, "must be in (0, 1]")

    def in_round(self, number: int) -> TrainOptions:
        r"""Return the options of a round, from 1: the rate :math:`\eta d^{t - 1}` in round t."""
        rate = self.learning_rate * self.learning_rate_decay ** (number - 1)
        return replace(self, learning_rate=rate, learning_rate_decay=1.0)


@dataclass(frozen=True)
class Machine:
    """Where a swarm runs, and in what portions.

    Attributes
    ----------
    torch_device : str
        ``cpu``, ``cuda`` or ``cuda:1``, say.
    chunk : int or None
        Devices that train together as one batched step; None picks what suits the CPU's
        cache or the GPU's memory. Results do not depend on it, but for rounding and for
        the draws of random layers (dropout).
    workers : int or None
        Threads that train chunks side by side, each on one core; None is one for each core
        on a CPU, and one on a GPU.
    """

    torch_device: str = "cpu"
    chunk: int | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("chunk", self.chunk), ("workers", self.workers)):
            valid = value is None or value >= 1
            _require(name, value, valid, "must be 1 or more, or None to have it picked")
        known = self.torch_device.partition(":")[0] in ("cpu", "cuda")
        _require("torch-device", self.torch_device, known, "must be 'cpu', 'cuda' or 'cuda:INDEX'")

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


def _require(name: str, value: object, valid: bool, rule: str) -> None:
    if not valid:
        raise ConfigError(name, value, rule)
