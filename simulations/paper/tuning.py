"""Each contender's own settings: chosen on a validation part, every grid point kept."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from p2pl_flower.history import History, Run

from .claims import Claim
from .kept import find
from .measured import diverged, final
from .rule import Variant

Score = tuple[Mapping[str, Any], "float | None"]


def trials(claim: Claim, variant: Variant) -> Iterator[tuple[Variant, int]]:
    """Yield the tuning runs of a variant, each with its seed; none where nothing is tuned."""
    tuning = claim.tune
    if tuning is None or tuning.points(variant) == [{}]:
        return
    for point in tuning.points(variant):
        for seed in range(tuning.seeds):
            yield tuning.trial(variant, point), seed


def scores(claim: Claim, tried: History, variant: Variant) -> list[Score]:
    """Return a variant's grid points with their validation accuracy, a fraction of 1.

    It is that of the devices' mean in the last round, mean over seeds; 0 where a run diverged,
    None where one has not been run.
    """
    tuning = claim.tune
    if tuning is None:
        return []
    found: list[Score] = []
    for point in tuning.points(variant):
        trial = tuning.trial(variant, point)
        runs = [find(tried, trial, seed) for seed in range(tuning.seeds)]
        done = [run for run in runs if run is not None]
        found.append((point, _score(done) if len(done) == len(runs) else None))
    return found


def tuned(claim: Claim, tried: History, variant: Variant) -> Variant | None:
    """Return the variant with the settings of the best score, the first of equal ones.

    None while a grid point has not been run. A variant with nothing to tune is as it was.
    """
    if claim.tune is None or claim.tune.points(variant) == [{}]:
        return variant
    found = scores(claim, tried, variant)
    if any(score is None for _, score in found):
        return None
    best, _ = max(found, key=lambda entry: entry[1] or -math.inf)
    return variant.with_settings(best)


def at_the_edge(claim: Claim, chosen: Variant, variant: Variant) -> bool:
    """Tell whether a choice is the least or the largest value tried, so that more may be better."""
    if claim.tune is None:
        return False
    return any(
        key not in variant.settings and chosen.settings[key] in (min(values), max(values))
        for key, values in claim.tune.grid.items()
        if len(values) > 1
    )


def _score(runs: Sequence[Run]) -> float:
    return statistics.fmean(0.0 if diverged(run) else final(run).mean for run in runs)
