"""The runs of a claim that are done, on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from p2pl_flower.history import History, Run

from .claims import Claim
from .rule import Variant

RESULTS = Path(__file__).parents[1] / "results"
RUNS, TUNING = "history.json", "tuning.json"


def kept_history(claim: Claim, results: Path = RESULTS, name: str = RUNS) -> History:
    """Return the claim's runs that still belong to it, from its file ``name``.

    A run belongs to the claim while one of its variants would be run from equal keys: a changed
    scenario makes it be run again. A key may move between the scenario and its variants.
    """
    path = results / claim.name / name
    if not path.is_file():
        return History(dict(claim.base), {})
    kept = History.load(path)
    variants = _trials(claim) if name == TUNING else _possible(claim)
    wanted = {_identity(v.contender, v.engine, claim.base, v.settings): v for v in variants}
    runs = []
    for run in kept.runs:
        found = wanted.get(_identity(run.contender, run.engine, kept.scenario, run.settings))
        if found is not None:
            runs.append(replace(run, settings=dict(found.settings)))
    return History(dict(claim.base), kept.environment, runs)


def find(history: History, variant: Variant, seed: int) -> Run | None:
    """Return a variant's run with a seed, if it is there."""
    return next((run for run in runs_of(history, variant) if run.seed == seed), None)


def runs_of(history: History, variant: Variant) -> list[Run]:
    """Return a variant's runs, by their seeds."""
    mine = variant.contender, variant.engine, dict(variant.settings)
    found = [r for r in history.runs if (r.contender, r.engine, dict(r.settings)) == mine]
    return sorted(found, key=lambda run: run.seed)


def _possible(claim: Claim) -> Iterator[Variant]:
    """Yield the variants, each with every setting that tuning may choose for it."""
    for variant in claim.variants:
        points = claim.tune.points(variant) if claim.tune else [{}]
        yield from map(variant.with_settings, points)


def _trials(claim: Claim) -> Iterator[Variant]:
    for variant in claim.variants:
        if claim.tune:
            yield from (claim.tune.trial(variant, p) for p in claim.tune.points(variant))


def _identity(
    contender: str, engine: str, base: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[Any, ...]:
    return contender, engine, tuple(sorted({**base, **settings}.items()))
