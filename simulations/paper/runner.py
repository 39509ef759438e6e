"""Runs what claims need, one after the other, and keeps what is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from p2pl_flower.history import History, Run, environment
from p2pl_flower.system.files import write_text
from strategies import contender

from ..compare import ENGINES
from .claims import Claim, Variant

RESULTS = Path(__file__).parents[1] / "results"


def run(claims: Sequence[Claim], seeds: int, results: Path = RESULTS) -> None:
    """Run all variants of the claims with seeds 0, 1, ...; those that are done are kept.

    Every finished run is written at once, so that an interruption costs one run at most.
    All claims are run with one seed before any is with the next.
    """
    wanted = [(c, v, seed) for seed in range(seeds) for c in claims for v in c.variants]
    kept = {claim.name: kept_history(claim, results) for claim in claims}
    for number, (claim, variant, seed) in enumerate(wanted, start=1):
        history = kept[claim.name]
        if find(history, variant, seed) is not None:
            continue
        started = time.perf_counter()
        done = _run(claim, variant, seed)
        history.runs.append(done)
        history.environment = _both(history.environment, environment())
        _save(history, results / claim.name / "history.json")
        final = done.final().after_consensus
        accuracy = final.accuracy if final else None
        sys.stderr.write(
            f"[{number}/{len(wanted)}] {claim.name}: {variant}, seed {seed}: "
            + (f"{accuracy.mean:.4f} (worst device {accuracy.min:.4f})" if accuracy else "")
            + f" in {time.perf_counter() - started:.0f} s\n"
        )


def kept_history(claim: Claim, results: Path = RESULTS) -> History:
    """Return the claim's history with the runs that still belong to it.

    A run belongs to the claim while one of its variants would be run from equal keys:
    a changed scenario makes it be run again.
    """
    path = results / claim.name / "history.json"
    if not path.is_file():
        return History(dict(claim.base), {})
    kept = History.load(path)
    same = {k: v for k, v in kept.scenario.items() if claim.base.get(k) != v} == {}
    runs = kept.runs if same and len(kept.scenario) == len(claim.base) else []
    known = [run for run in runs if any(_is(run, v) for v in claim.variants)]
    return History(dict(claim.base), kept.environment, known)


def find(history: History, variant: Variant, seed: int) -> Run | None:
    """Return a variant's run with a seed, if it is there."""
    return next((run for run in history.runs if _is(run, variant) and run.seed == seed), None)


def _is(run: Run, variant: Variant) -> bool:
    mine = variant.contender, variant.engine, dict(variant.settings)
    return (run.contender, run.engine, dict(run.settings)) == mine


def _run(claim: Claim, variant: Variant, seed: int) -> Run:
    scenario = claim.scenario(variant, seed)
    done = ENGINES[variant.engine](scenario, contender(variant.contender), lambda *_: None)
    return replace(done, settings=dict(variant.settings))


def _save(history: History, path: Path) -> None:
    write_text(path, history.to_json())


def _both(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environment of runs made in two: where they differ, both values."""
    merged = dict(old)
    for key, value in new.items():
        known = str(old.get(key)).split(", ")
        if key not in old:
            merged[key] = value
        elif str(value) not in known:
            merged[key] = ", ".join([*known, str(value)])
    return merged
