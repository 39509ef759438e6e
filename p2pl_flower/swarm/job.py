"""What a swarm is given to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import Converted, at_least, check_fields, described, option
from ..options import (
    EVALUATE_EVERY,
    EVALUATE_TRAINED,
    FRACTION_EVALUATE,
    ROUNDS,
    Clock,
    Logger,
    RoundFunction,
    told,
)
from .drawing import ModelFactory
from .initial import Initial
from .metrics import Given, metrics_of
from .options import EVALUATE_PRECISION, Machine, TrainOptions

_NOBODY: Any = None


@described
@dataclass(frozen=True)
class Job:
    """What is trained, for how long, and what is measured and kept.

    Parameters
    ----------
    model : callable
        Makes a device's initial model: ``(seed) -> nn.Module``, or a module's class.
    data : sequence or partitioner
        Each device's inputs and targets (see `p2pl_flower.swarm.sources.device_samples`).
    test : (x, y), dataset or None
        The test set.
    metrics : str, callable, several of them or None
        What is measured beside loss and, where targets are classes, accuracy: ``top-k:k=3``,
        ``mse``, ``mae``, ``perplexity``, or a function of a model's outputs and the targets.
    training : TrainOptions
        Options of local training.
    machine : Machine
        Where it runs.
    name : str
        What the history calls the contender.
    progress : bool
        Whether a progress bar is shown.
    on_round : callable or Logger, optional
        Called at the end of every round with what it measured: a function, or an object with a
        method ``on_round``.
    checkpoint : Path or None
        File in which the state is saved, and from which a run goes on where it is there.
    clock : Clock, str or None
        What simulated time is counted by, or a network's name (see `p2pl_flower.options.Clock`).
    initial : mapping, sequence of mappings, path or None
        Models to begin with, in the place of drawn and synchronized ones: a state dict for all
        devices, one for each, or a file (see `p2pl_flower.swarm.initial.set_initial`).
    """

    model: ModelFactory
    data: Any
    test: Any
    rounds: int = ROUNDS.field()
    evaluate_every: int = EVALUATE_EVERY.field()
    evaluate_trained: bool = EVALUATE_TRAINED.field()
    evaluate_precision: str = EVALUATE_PRECISION.field()
    fraction_evaluate: float = FRACTION_EVALUATE.field()
    max_test_samples: int | None = option(
        None,
        rule=at_least(1),
        help="test samples on which models are scored, drawn once, the same for all; None is all",
    )
    metrics: Given = None
    training: TrainOptions = field(default_factory=TrainOptions)
    machine: Machine = field(default_factory=Machine)
    name: str = "p2pl"
    progress: bool = False
    on_round: Converted[RoundFunction | None, Logger | RoundFunction | None] = _NOBODY
    checkpoint: Path | None = None
    checkpoint_every: int = option(
        1, rule=at_least(1), help="rounds between two savings; the last round is saved too"
    )
    initial: Initial | None = None
    clock: Converted[Clock, Clock | str | None] = _NOBODY

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "on_round", told(self.on_round))
        object.__setattr__(self, "clock", Clock.of(self.clock, self.training.local_epochs))
        metrics_of(self.metrics, self.training.loss)
