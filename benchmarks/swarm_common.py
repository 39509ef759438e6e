"""What the benchmarks of the swarm share: the work, and the file of results."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from p2pl_flower.history import Round, Run, environment
from p2pl_flower.swarm import Machine, Swarm
from simulations.report import aligned
from simulations.scenario import Scenario
from simulations.swarm_engine import make_job
from simulations.task import make_task

WARM_UP = 2


def parser(file: str, text: str | None) -> argparse.ArgumentParser:
    """Return a command line with ``--device`` and ``--out``."""
    made = argparse.ArgumentParser(description=text)
    made.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    made.add_argument("--out", type=Path, help="default: beside the benchmark")
    made.set_defaults(file=Path(file))
    return made


def swarm(
    scenario: Scenario,
    machine: Machine,
    rounds: int,
    evaluate_every: int = 0,
    samples: int | None = None,
    on_round: Callable[[Round], None] | None = None,
) -> Swarm:
    """Return a swarm that runs the scenario's one contender.

    Parameters
    ----------
    scenario : Scenario
        What is trained.
    machine : Machine
        Where it runs.
    rounds : int
        For how many rounds.
    evaluate_every : int
        Rounds between two in which all models are scored, after training and after consensus.
    samples : int or None
        How many of its images each device keeps; None is all.
    on_round : callable or None
        Called at the end of every round.
    """
    [contender] = scenario.named_contenders()
    job = make_job(scenario, contender, lambda *_: None)
    data = [(x[:samples], y[:samples]) for x, y in job.data]
    machine = replace(machine, keep_memory=True)
    job = replace(job, machine=machine, rounds=rounds, evaluate_every=evaluate_every, data=data)
    if on_round is not None:
        job = replace(job, on_round=on_round)
    return Swarm(job, contender.plan(make_task(scenario), [len(y) for _, y in data]))


def seconds(run: Run) -> list[float]:
    """Return the seconds of all rounds but the first ones."""
    return [r.seconds for r in run.rounds[WARM_UP:] if r.seconds is not None]


def median(values: Sequence[float]) -> float:
    """Return the median, to three digits or so."""
    return round(statistics.median(values), 4)


def write(parsed: argparse.Namespace, table: Sequence[Sequence[str]], **content: Any) -> None:
    """Write the results with the environment they were got in, and show the table."""
    suffix = "" if parsed.device == "cpu" else f"_{parsed.device}"
    beside = parsed.file.with_name(f"{parsed.file.stem}{suffix}.json")
    result = {"table": table, "environment": _environment(parsed.device), **content}
    (parsed.out or beside).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(aligned(table))


def _environment(device: str) -> dict[str, Any]:
    name = "" if device == "cpu" else torch.cuda.get_device_name(device)
    return {**environment(), "device": device, "gpu": name}
