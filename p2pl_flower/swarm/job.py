"""What a swarm is given to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..history import Round
from .options import PRECISIONS, Machine, TrainOptions
from .stack import ModelFactory

OnRound = Callable[[Round], None]


@dataclass(frozen=True)
class Job:
    """What is trained, for how long, and what is measured and kept.

    Attributes
    ----------
    model : callable
        Makes a device's initial model: ``(seed) -> nn.Module``, or a module's class.
    data : sequence of (x, y)
        Each device's inputs and labels.
    test : (x, y) or None
        The test set.
    rounds, evaluate_every : int
        Rounds to run, and in how many of them models are scored; 0 is never.
    evaluate_trained : bool
        Whether they are scored after training too, or only after consensus.
    evaluate_precision : str
        What models are scored in: ``float32``, or ``bfloat16``, which takes about half the
        time on processors that have it, for a few decisions that come out otherwise.
    training : TrainOptions
        Options of local training.
    machine : Machine
        Where it runs.
    name : str
        What the history calls the contender.
    progress : bool
        Whether a progress bar is shown.
    on_round : Callable[[Round], None], optional
        Called at the end of every round.
    checkpoint : Path or None
        File in which the state is saved, and from which a run goes on where it is there.
    checkpoint_every : int
        Rounds between two savings; the last round is saved too.
    """

    model: ModelFactory
    data: Sequence[tuple[Any, Any]]
    test: tuple[Any, Any] | None
    rounds: int
    evaluate_every: int = 1
    evaluate_trained: bool = True
    evaluate_precision: str = "float32"
    training: TrainOptions = field(default_factory=TrainOptions)
    machine: Machine = field(default_factory=Machine)
    name: str = "p2pl"
    progress: bool = False
    on_round: OnRound | None = None
    checkpoint: Path | None = None
    checkpoint_every: int = 1

    def __post_init__(self) -> None:
        for name, value, least in (
            ("rounds", self.rounds, 1),
            ("evaluate-every", self.evaluate_every, 0),
            ("checkpoint-every", self.checkpoint_every, 1),
        ):
            if value < least:
                raise ConfigError(name, value, f"must be at least {least}")
        if self.evaluate_precision not in PRECISIONS:
            found = self.evaluate_precision
            raise ConfigError("evaluate-precision", found, "unknown name", PRECISIONS)
