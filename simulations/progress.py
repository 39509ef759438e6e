"""How far a comparison is: a bar for each contender on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from p2pl_flower.history import Round, accuracies, line

_ROUNDS_OF_SPEED = 600.0
"""Seconds over which the time that is left is estimated."""


class Shown:
    """Shows rounds of contenders on a stream, for as long as it is entered.

    Parameters
    ----------
    contenders : Sequence[str]
        Their names, in the order in which they run.
    rounds : int
        How many each runs.
    stream : TextIO or None
        Where to; standard error unless given.
    """

    def __init__(
        self, contenders: Sequence[str], rounds: int, stream: TextIO | None = None
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._width = max(map(len, contenders))
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        if self._stream.isatty():
            self._bars = _bars(Console(file=self._stream))
            for name in dict.fromkeys(contenders):
                self._tasks[name] = self._bars.add_task(
                    name.ljust(self._width), start=False, total=rounds, said="waits"
                )

    def __enter__(self) -> Shown:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, name: str) -> None:
        """Show that a contender begins to train."""
        if self._bars is not None:
            self._bars.start_task(self._tasks[name])
            self._bars.update(self._tasks[name], said="trains")

    def show(self, name: str, measured: Round) -> None:
        """Show a round that has ended."""
        if self._bars is None:
            self._stream.write(f"{name:>14}  {line(measured)}\n")
            self._stream.flush()
            return
        scored = measured.after_consensus is not None
        self._bars.update(self._tasks[name], completed=measured.round)
        if scored:
            self._bars.update(self._tasks[name], said=accuracies(measured).rpartition("; ")[2])


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[said]}"),
        console=console,
        speed_estimate_period=_ROUNDS_OF_SPEED,
        expand=True,
    )
