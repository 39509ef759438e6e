"""A claim's runs, summed up over seeds: what tables, figures and verdicts are made from."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from p2pl_flower.history import History, Run, Scores, Spread

from .claims import Claim, Variant


@dataclass(frozen=True)
class Row:
    """One variant's runs, one for each seed."""

    variant: Variant
    runs: Sequence[Run]

    @property
    def mean(self) -> float:
        """The devices' mean accuracy at the end, over seeds."""
        return self._over_seeds(lambda run: final(run).mean)

    @property
    def worst(self) -> float:
        """The worst device's accuracy at the end, mean over seeds."""
        return self._over_seeds(lambda run: final(run).min)

    @property
    def best(self) -> float:
        """The best device's accuracy at the end, mean over seeds."""
        return self._over_seeds(lambda run: final(run).max)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds of the devices' mean accuracy, if there are two."""
        means = [final(run).mean for run in self.runs]
        return statistics.stdev(means) if len(means) > 1 else None

    def rounds_to(self, accuracy: float) -> int | None:
        """Return the first scored round in which the mean reaches an accuracy, in all seeds."""
        firsts = [next((n for n, s in curve(run) if s.mean >= accuracy), None) for run in self.runs]
        reached = [first for first in firsts if first is not None]
        return max(reached) if len(reached) == len(firsts) else None

    def bytes_of(self, field: str) -> float | None:
        """Return the mean over rounds and seeds of a number of bytes."""
        known = [getattr(entry, field) for run in self.runs for entry in run.rounds]
        return None if None in known or not known else statistics.fmean(known)

    def _over_seeds(self, value: Callable[[Run], float]) -> float:
        return statistics.fmean(value(run) for run in self.runs)


def rows(claim: Claim, history: History) -> list[Row]:
    """Return the variants that have been run, in the claim's order."""
    found = []
    for variant in claim.variants:
        mine = (variant.contender, variant.engine, dict(variant.settings))
        runs = [r for r in history.runs if (r.contender, r.engine, dict(r.settings)) == mine]
        if runs:
            found.append(Row(variant, sorted(runs, key=lambda run: run.seed)))
    return found


def final(run: Run) -> Spread:
    """Return the accuracy over devices after the last consensus."""
    return curve(run)[-1][1]


def curve(run: Run, trained: bool = False) -> list[tuple[int, Spread]]:
    """Return the accuracies of the scored rounds, after consensus or after training."""
    scored: list[tuple[int, Scores | None]] = [
        (r.round, r.after_training if trained else r.after_consensus) for r in run.rounds
    ]
    return [(number, s.accuracy) for number, s in scored if s is not None and s.accuracy]
