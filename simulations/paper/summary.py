"""A claim's runs, summed up over seeds: what tables, figures and verdicts are made from."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from p2pl_flower.history import History, Run

from .claims import Claim
from .interval import Interval, interval
from .kept import runs_of
from .measured import diverged, final, rounds_to
from .rule import Variant
from .tuning import tuned

NOTHING = History({}, {})


@dataclass(frozen=True)
class Row:
    """One variant's runs, one for each seed.

    Attributes
    ----------
    variant : Variant
        As the claim has it.
    runs : Sequence[Run]
        In the order of their seeds.
    chosen : Mapping[str, Any]
        What tuning chose for it.
    """

    variant: Variant
    runs: Sequence[Run]
    chosen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """The devices' mean accuracy at the end, over seeds."""
        return self.over_seeds(lambda run: final(run).mean).mean

    @property
    def worst(self) -> float:
        """The worst device's accuracy at the end, mean over seeds."""
        return self.over_seeds(lambda run: final(run).min).mean

    @property
    def best(self) -> float:
        """The best device's accuracy at the end, mean over seeds."""
        return self.over_seeds(lambda run: final(run).max).mean

    @property
    def diverged(self) -> bool:
        """Whether a seed's run diverged: no baseline, and no accuracy to compare."""
        return any(map(diverged, self.runs))

    def rounds_to(self, accuracy: float) -> int | None:
        """Return the first scored round in which the mean reaches an accuracy, in all seeds."""
        firsts = [rounds_to(run, accuracy) for run in self.runs]
        reached = all(n <= len(run.rounds) for n, run in zip(firsts, self.runs, strict=True))
        return max(firsts) if reached else None

    def bytes_of(self, field: str) -> float | None:
        """Return the mean over rounds and seeds of a number of bytes."""
        known = [getattr(entry, field) for run in self.runs for entry in run.rounds]
        return None if None in known or not known else statistics.fmean(known)

    def over_seeds(self, value: Callable[[Run], float]) -> Interval:
        """Return a value's mean over seeds, and its interval."""
        return interval([value(run) for run in self.runs])


def rows(claim: Claim, history: History, tried: History = NOTHING) -> list[Row]:
    """Return the variants that have been run, in the claim's order.

    Parameters
    ----------
    claim : Claim
        Whose variants.
    history, tried : History
        Its runs, and those that its settings are chosen by.
    """
    found = []
    for variant in claim.variants:
        chosen = tuned(claim, tried, variant)
        runs = runs_of(history, chosen) if chosen is not None else []
        if chosen is not None and runs:
            own = {k: v for k, v in chosen.settings.items() if k not in variant.settings}
            found.append(Row(variant, runs, own))
    return found
