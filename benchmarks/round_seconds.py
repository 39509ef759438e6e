"""Seconds a round of P2PL takes on Flower's Ray simulation, and one of Flower's FedAvg.

``python -m benchmarks.round_seconds`` runs both in turn, several times over, on the MNIST
scenario (100 devices, 600 images each) without evaluation, and writes the figures, the
ratios and the hardware to ``benchmarks/round_seconds.json``. The first rounds, in which
processes start and read the data, and the last, which is evaluated, are left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from p2pl_flower.history import Run, environment
from simulations.flower_engine import run_contender
from simulations.report import aligned
from simulations.scenario import Scenario
from strategies import contender

CONTENDERS = ("p2pl", "fedavg")
WARM_UP = 2


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.round_seconds")
    parser.add_argument("--repeats", type=int, default=3, help="times that both are run")
    parser.add_argument("--rounds", type=int, default=10, help="rounds to measure in each run")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parsed = parser.parse_args(arguments)
    total = WARM_UP + parsed.rounds + 1
    scenario = Scenario.load("mnist", {"rounds": total, "evaluate-every": total})
    measured = [_measure(scenario) for _ in range(parsed.repeats)]
    summary = _summary(measured)
    result = {
        "table": _table(summary),
        "environment": environment(),
        "scenario": scenario.keys(),
        **summary,
    }
    parsed.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(aligned(result["table"]))
    return 0


def _measure(scenario: Scenario) -> dict[str, dict[str, Any]]:
    runs = {n: run_contender(scenario, contender(n), lambda *_: None) for n in CONTENDERS}
    return {name: _figures(run) for name, run in runs.items()}


def _figures(run: Run) -> dict[str, Any]:
    counted = run.rounds[WARM_UP:-1]
    seconds = [r.seconds for r in counted if r.seconds is not None]
    return {
        "seconds": seconds,
        "mean_seconds": statistics.fmean(seconds),
        "bytes_through_server": counted[0].bytes_through_server,
    }


def _summary(measured: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    ratios = [m["p2pl"]["mean_seconds"] / m["fedavg"]["mean_seconds"] for m in measured]
    means = {n: statistics.fmean(m[n]["mean_seconds"] for m in measured) for n in CONTENDERS}
    through = {n: measured[0][n]["bytes_through_server"] for n in CONTENDERS}
    return {
        "mean_seconds": means,
        "ratio_of_means": means["p2pl"] / means["fedavg"],
        "ratios": ratios,
        "bytes_through_server_a_round": through,
        "share_through_server": through["p2pl"] / through["fedavg"],
        "repeats": measured,
    }


def _table(summary: dict[str, Any]) -> list[list[str]]:
    """Return what the README shows."""
    through = summary["bytes_through_server_a_round"]
    means, ratios = summary["mean_seconds"], summary["ratios"]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return [
        ["MNIST, 100 devices", "P2PL", "FedAvg", "P2PL / FedAvg"],
        [
            "seconds a round, evaluation left out",
            *(f"{means[name]:.2f}" for name in CONTENDERS),
            f"{summary['ratio_of_means']:.2f} ({spread} in {len(ratios)} repeats)",
        ],
        [
            "bytes through the server a round",
            *(f"{through[name]:,}" for name in CONTENDERS),
            f"{summary['share_through_server']:.5f}",
        ],
    ]


if __name__ == "__main__":
    sys.exit(main())
