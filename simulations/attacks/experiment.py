"""What attacks do, and what stands them: the runs of a file, kept one by one, and their table."""

from __future__ import annotations

import json
import statistics
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from p2pl_flower.history import History, Run, environment
from p2pl_flower.system.files import write_text
from strategies import contender

from ..scenario import FOLDER, Scenario
from ..swarm_engine import run_contender
from ..sweep import combinations, joined_environment

FILE = FOLDER / "attacks" / "mnist.toml"
RESULTS = Path(__file__).parents[1] / "results" / "attacks"

_CONTENDER = "contender"
_SHOWN = ("attack", "mixing", "init")
_HEADER = (_CONTENDER, *_SHOWN, "honest mean", "worst honest device", "seeds")

Variant = Mapping[str, Any]


def run(file: Path, seeds: int, results: Path) -> History:
    """Run all variants of a file with seeds 0, 1, ...; those that are done are kept.

    ``results/history.json`` is written after each, and ``results/table.json`` with it.
    """
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    base, wanted = content["scenario"], list(combinations(content["vary"]))
    scenarios = [(v, s, scenario_of(base, v, s)) for s in range(seeds) for v in wanted]
    path = results / "history.json"
    kept = History.load(path) if path.is_file() else History(base, {})
    kept = kept if kept.scenario == base else History(base, {})
    history = History(base, joined_environment(kept.environment, environment()), kept.runs)
    for variant, seed, scenario in scenarios:
        if find(history, variant, seed) is None:
            done = run_contender(scenario, contender(variant[_CONTENDER]), lambda *_: None)
            settings = {k: v for k, v in variant.items() if k != _CONTENDER}
            history.runs.append(replace(done, settings=settings))
            write_text(path, history.to_json())
            sys.stderr.write(f"{' '.join(map(str, variant.values()))}: {_final(done)}\n")
        rows = [list(_HEADER), *(row for v in wanted if (row := _row(history, base, v)))]
        write_text(results / "table.json", json.dumps({"table": rows}, indent=1) + "\n")
    return history


def scenario_of(base: Mapping[str, Any], variant: Variant, seed: int) -> Scenario:
    """Return the scenario of one run."""
    keys = {k: v for k, v in variant.items() if k != _CONTENDER}
    return Scenario.of({**base, **keys, "contenders": variant[_CONTENDER], "seed": seed})


def find(history: History, variant: Variant, seed: int) -> Run | None:
    """Return a variant's run with a seed, if it is there."""
    found = (r for r in history.runs if {_CONTENDER: r.contender, **r.settings} == variant)
    return next((r for r in found if r.seed == seed), None)


def _row(history: History, base: Mapping[str, Any], variant: Variant) -> list[str]:
    """Return a variant's line: the means over its seeds; empty where none is there."""
    runs = [r for r in history.runs if {_CONTENDER: r.contender, **r.settings} == variant]
    if not runs:
        return []
    shown = [str(variant.get(key, base.get(key, ""))) for key in _SHOWN]
    means, worst = zip(*map(_final, runs), strict=True)
    figures = [f"{statistics.fmean(column):.2f}" for column in (means, worst)]
    return [variant[_CONTENDER], *shown, *figures, str(len(runs))]


def _final(run: Run) -> tuple[float, float]:
    """Return the honest devices' mean accuracy and the worst, in percent, in the last round."""
    scores = run.final().after_consensus
    accuracy = scores.accuracy if scores else None
    return (100 * accuracy.mean, 100 * accuracy.min) if accuracy else (0.0, 0.0)
