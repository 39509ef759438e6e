"""What a swarm is given to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import Converted, at_least, check_fields, described, option
from ..options import EVALUATE_EVERY, EVALUATE_TRAINED, ROUNDS, Logger, RoundFunction, told
from .options import EVALUATE_PRECISION, Machine, TrainOptions
from .stack import ModelFactory

_NOBODY: Any = None


@described
@dataclass(frozen=True)
class Job:
    """What is trained, for how long, and what is measured and kept.

    Parameters
    ----------
    model : callable
        Makes a device's initial model: ``(seed) -> nn.Module``, or a module's class.
    data : sequence of (x, y)
        Each device's inputs and labels.
    test : (x, y) or None
        The test set.
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
    """

    model: ModelFactory
    data: Sequence[tuple[Any, Any]]
    test: tuple[Any, Any] | None
    rounds: int = ROUNDS.field()
    evaluate_every: int = EVALUATE_EVERY.field()
    evaluate_trained: bool = EVALUATE_TRAINED.field()
    evaluate_precision: str = EVALUATE_PRECISION.field()
    training: TrainOptions = field(default_factory=TrainOptions)
    machine: Machine = field(default_factory=Machine)
    name: str = "p2pl"
    progress: bool = False
    on_round: Converted[RoundFunction | None, Logger | RoundFunction | None] = _NOBODY
    checkpoint: Path | None = None
    checkpoint_every: int = option(
        1, rule=at_least(1), help="rounds between two savings; the last round is saved too"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "on_round", told(self.on_round))
