"""CPU seconds of a process and of all that it has started, at the end of each round (Linux).

Threads, child processes and those that these start count alike, whether they live or have ended,
so that a system of one process and a system of many are measured in the same way.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from torch import Tensor

from .setting import Setting, accuracy

_TICKS = os.sysconf("SC_CLK_TCK")
_BECOME_SUBREAPER = 36


def adopt() -> None:
    """Make processes that lose their parent this process's children, so that they are counted."""
    ctypes.CDLL(None).prctl(_BECOME_SUBREAPER, 1, 0, 0, 0)


def cpu_seconds(root: int | None = None) -> float:
    """Return the CPU seconds of a process and its descendants, those that have ended included."""
    parents: dict[int, list[int]] = {}
    spent: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        process = int(folder.name)
        parents.setdefault(int(fields[1]), []).append(process)
        spent[process] = sum(map(int, fields[11:15]))
    total, left = 0, [root or os.getpid()]
    while left:
        process = left.pop()
        total += spent.get(process, 0)
        left += parents.get(process, [])
    return total / _TICKS


class Clock:
    """Notes CPU and wall seconds whenever a round has ended.

    The first round is left out, with all that systems do before it: it ends when it is noted for
    the first time.
    """

    def __init__(self) -> None:
        self._ends: list[tuple[float, float]] = []

    def tick(self) -> None:
        """Note the end of a round."""
        self._ends.append((cpu_seconds(), time.perf_counter()))

    def rounds(self) -> dict[str, list[float]]:
        """Return CPU and wall seconds of each round but the first."""
        pairs = list(pairwise(self._ends))
        return {
            "cpu_seconds": [round(after[0] - before[0], 3) for before, after in pairs],
            "wall_seconds": [round(after[1] - before[1], 3) for before, after in pairs],
        }


Work = Callable[[Setting, Clock], "list[Tensor] | float"]
"""Trains for the setting's rounds, ticks after each, and returns a model or its accuracy."""


def main(work: Work, arguments: list[str] | None = None) -> None:
    """Run an adapter: ``SETTING OUT`` are the file to read and the one to write."""
    line = argparse.ArgumentParser()
    line.add_argument("setting", type=Path)
    line.add_argument("out", type=Path)
    parsed = line.parse_args(arguments)
    adopt()
    setting, clock = Setting.load(parsed.setting), Clock()
    trained = work(setting, clock)
    score = trained if isinstance(trained, float) else accuracy(setting, trained)
    parsed.out.write_text(json.dumps({**clock.rounds(), "accuracy": score}), encoding="utf-8")
