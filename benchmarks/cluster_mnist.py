"""Eight peers without a server on MNIST, beside Flower's FedAvg on the same data and budget.

``python -m benchmarks.cluster_mnist`` runs ``p2pl-flower cluster`` (processes, certificates,
loopback) and then FedAvg with Flower's simulation, and writes both into
``benchmarks/cluster_mnist.json``, a history.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from p2pl_flower.cli import main as p2pl_flower
from p2pl_flower.history import History
from simulations import report
from simulations.flower_engine import run_contender
from simulations.scenario import Scenario
from strategies import contender

EVERY = 5
"""Rounds from one evaluation to the next."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster_mnist")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parsed = parser.parse_args(arguments)
    budget = [f"--num-devices={parsed.devices}", f"--rounds={parsed.rounds}", "--topology=ring"]
    patience = ["--set=start=600", "--set=waiting.deadline=300"]  # cores are shared by all
    with tempfile.TemporaryDirectory() as folder:
        scored = f"--set=evaluate-every={EVERY}"
        settings = ["--set=run-config.dataset=mnist", scored, f"--out={folder}", *patience]
        if p2pl_flower(["cluster", *budget, *settings]):
            return 1
        history = History.load(Path(folder) / "history.json")
    parsed.out.write_text(history.to_json(), encoding="utf-8")
    budget_keys = {"num-devices": parsed.devices, "rounds": parsed.rounds, "evaluate-every": EVERY}
    scenario = Scenario.load("mnist", {"contenders": "fedavg", "topology": "ring", **budget_keys})
    history.runs.append(run_contender(scenario, contender("fedavg"), lambda *_: None))
    parsed.out.write_text(history.to_json(), encoding="utf-8")
    sys.stdout.write(report.table(history))
    return 0


if __name__ == "__main__":
    sys.exit(main())
