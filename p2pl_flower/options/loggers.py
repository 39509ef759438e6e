"""Who is told what each round measured: functions, objects, and plugins by name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ..config import Option, Table
from ..history import Round
from .trackers import MLflow, TensorBoard, WeightsAndBiases

RoundFunction = Callable[[Round], object]


@runtime_checkable
class Logger(Protocol):
    """Is told of every round; any object with this method will do."""

    def on_round(self, measured: Round) -> object:
        """Take what a round measured, at its end."""


One: TypeAlias = str | Logger | RoundFunction
Told: TypeAlias = One | Sequence[Any] | None  # of these again
"""Who is told of rounds, as users give it."""


@dataclass(frozen=True)
class FunctionLogger:
    """Calls a function with what each round measured."""

    function: RoundFunction

    def on_round(self, measured: Round) -> None:
        """Call the function."""
        self.function(measured)


@dataclass(frozen=True)
class Loggers:
    """Several, one after the other."""

    parts: tuple[Logger, ...]

    def on_round(self, measured: Round) -> None:
        """Tell all of them."""
        for part in self.parts:
            part.on_round(measured)

    def close(self) -> None:
        """Tell those that want to know that the run is over."""
        for part in self.parts:
            end(part.on_round)


@dataclass(frozen=True)
class JsonLines:
    """Adds a line of JSON to a file for each round: a `Round`'s fields, and ``run``.

    Parameters
    ----------
    path : str
        The file; its folder must be there.
    run : str
        Whose rounds they are. What is not a finite number is null.
    """

    path: str
    run: str = ""

    def on_round(self, measured: Round) -> None:
        """Add the line."""
        text = json.dumps({"run": self.run, **dataclasses.asdict(measured)})
        content = json.loads(text, parse_constant=lambda _: None)
        with Path(self.path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(content) + "\n")


LOGGERS: Table[Logger] = Table(
    "loggers",
    {
        "json-lines": JsonLines,
        "mlflow": MLflow,
        "tensorboard": TensorBoard,
        "wandb": WeightsAndBiases,
    },
    reserved=("run",),
    group="p2pl_flower.loggers",
    base=(Logger,),
    wrap=FunctionLogger,
    join=Loggers,
)
"""A parameter ``run`` of a logger is told whose rounds they are: the contender, or the device."""

LOGGERS_KEY = Option(
    "who is told what each round measured: `json-lines:path=rounds.jsonl`, `tensorboard:runs`, "
    "`wandb:project=p2pl`, `mlflow:mlruns`, or a plugin's name; several joined by `+`",
    default="",
    name="loggers",
    kind=str,
)


def told(given: Told, run: str = "") -> RoundFunction | None:
    """Return what is to be called with each round, or None for nobody.

    Parameters
    ----------
    given : str, Logger, callable, several of them or None
        As users give it; an empty text is nobody.
    run : str
        Whose rounds they are.

    Raises
    ------
    ConfigError
        It is something else, or there is no logger of that name.
    """
    several = given if isinstance(given, list | tuple) else [given]
    parts = [LOGGERS.of(part, run=run) for part in several if part is not None and part != ""]
    if not parts:
        return None
    return parts[0].on_round if len(parts) == 1 else Loggers(tuple(parts)).on_round


def end(on_round: RoundFunction | None) -> None:
    """Tell a logger, by what `told` has returned, that its run is over, if it has a ``close``."""
    close = getattr(getattr(on_round, "__self__", None), "close", None)
    if callable(close):
        close()


def check_loggers(text: str) -> None:
    """Refuse a text that names no loggers; none is made.

    Raises
    ------
    ConfigError
        As `told`.
    """
    for part in filter(None, text.split("+")):
        LOGGERS.bind(part, run="")
