"""The swarm beside other systems, in turn: ``python -m benchmarks.peers``.

All train MNIST: 100 devices with 600 images, a 784-200-200-10 perceptron, batches of 10, one
epoch and one averaging a round, no scoring. Each system runs in a process and, where it is not
ours, in an environment of its own, several times over and in turn, one thread a process. What is
noted is the CPU seconds of a round, of all its processes: the least of all rounds but each run's
first, which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from p2pl_flower.history import environment
from p2pl_flower.topology import schedule
from simulations.report import aligned
from simulations.scenario import Scenario
from simulations.swarm_engine import make_job

from . import report
from .environments import UnavailableError, interpreter, versions
from .runs import run
from .setting import Setting
from .systems import SYSTEMS, System

OUT = Path(__file__).parents[1] / "peers.json"


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print the table."""
    parsed = _line().parse_args(arguments)
    given = (text.split("=", 1) for text in parsed.clone)
    clones = {name: Path(path).resolve() for name, path in given}
    chosen = [s for s in SYSTEMS if not parsed.only or s.name in parsed.only.split(",")]
    found = [_prepared(system, clones.get(system.adapter)) for system in chosen]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "setting.pt")
        mnist(parsed.rounds + 1).save(file)
        for number in range(1, parsed.repeats + 1):
            for system, each in zip(chosen, found, strict=True):
                _repeat(system, each, file, parsed.limit, clones.get(system.adapter))
                _show(f"{number}/{parsed.repeats} {system.name}", each)
    write(found, parsed.out)
    return 0


def write(found: list[dict[str, Any]], out: Path) -> None:
    """Write what was found with its tables, and show them."""
    rows, missing = report.table(found), report.missing(found)
    content = {
        "table": rows,
        "missing": missing,
        "environment": environment(),
        "systems": [{k: v for k, v in each.items() if k != "python"} for each in found],
    }
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{aligned(rows)}\n{aligned(missing)}")


def mnist(rounds: int) -> Setting:
    """Return the MNIST scenario as tensors."""
    scenario = Scenario.load("mnist", {"contenders": "p2pl"})
    [contender] = scenario.named_contenders()
    job = make_job(scenario, contender, lambda *_: None)
    shares = [tuple(map(torch.as_tensor, pair)) for pair in job.data]
    graph = schedule(scenario.topology, scenario.num_devices, scenario.seed).graph(1)
    return Setting(
        x=torch.stack([x for x, _ in shares]).flatten(2),
        y=torch.stack([y for _, y in shares]),
        test_x=torch.as_tensor(job.test[0]).flatten(1),
        test_y=torch.as_tensor(job.test[1]),
        edges=torch.tensor(sorted(graph.edges)),
        rounds=rounds,
    )


def _prepared(system: System, clone: Path | None) -> dict[str, Any]:
    """Return a system's entry in the results, with its Python where it can be had."""
    each: dict[str, Any] = {"name": system.name, "averages": system.averages}
    each |= {"versions": {}, "repeats": []}
    try:
        each["python"] = interpreter(system, clone)
        each["versions"] = versions(each["python"], system, clone)
    except UnavailableError as error:
        each["reason"] = str(error)
    return each


def _repeat(
    system: System, each: dict[str, Any], file: Path, limit: float, clone: Path | None
) -> None:
    """Run a system once more, unless it could not be run before."""
    if "reason" in each:
        return
    load = round(os.getloadavg()[0], 2)
    try:
        found = run(system, each["python"], file, limit, clone)
        each["repeats"].append({**found, "load_before": load})
    except UnavailableError as error:
        each["reason"] = f"{error} (load {load} before)"


def _show(title: str, each: dict[str, Any]) -> None:
    last = each.get("reason") or each["repeats"][-1]
    sys.stdout.write(f"{title}: {last}\n")
    sys.stdout.flush()


def _line() -> argparse.ArgumentParser:
    line = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    line.add_argument("--repeats", type=int, default=3, help="times that all are run (3)")
    line.add_argument("--rounds", type=int, default=4, help="rounds of each to measure (4)")
    line.add_argument("--limit", type=float, default=300, help="seconds for a run (300)")
    line.add_argument("--only", default="", help="names of systems, joined by commas")
    line.add_argument("--clone", action="append", default=[], help="NAME=PATH of a checkout")
    line.add_argument("--out", type=Path, default=OUT, help="default: benchmarks/peers.json")
    return line


if __name__ == "__main__":
    sys.exit(main())
