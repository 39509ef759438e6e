"""Whether a claim holds: worked out from its runs, never written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from p2pl_flower.history import Run

from .claims import Claim
from .interval import Interval, interval
from .measured import final, rounds_to, swing
from .rule import Test
from .summary import Row

HOLDS, NOT, UNDECIDED = "holds", "does not hold", "undecided"

SEEDS = 3
"""Seeds that a decision needs."""

Case = tuple[object, ...]


@dataclass(frozen=True)
class Gap:
    """How far a judged variant is behind its reference in one measure, paired over seeds.

    Attributes
    ----------
    measure : str
        ``mean``, ``worst device``, ``swing`` (in points of accuracy) or ``rounds``.
    behind : Interval
        By how much, on the way that the claim does not want; negative where it is ahead.
    tolerance : float
        What the claim allows.
    seeds : int
        How many pairs there are.
    at_least, at_most : bool
        Whether a judged run, or a reference, never reached the level, so that it is behind by
        more, or by less, than the figures say.
    """

    measure: str
    behind: Interval
    tolerance: float
    seeds: int
    at_least: bool = False
    at_most: bool = False

    @property
    def answer(self) -> str:
        """`HOLDS` or `NOT` where the whole interval says so, else `UNDECIDED`."""
        if self.seeds < SEEDS:
            return UNDECIDED
        if self.behind.high <= self.tolerance:
            return UNDECIDED if self.at_least else HOLDS
        return NOT if self.behind.low > self.tolerance and not self.at_most else UNDECIDED


@dataclass(frozen=True)
class Judged:
    """A variant beside its reference.

    Attributes
    ----------
    test : Test
        What asks for it.
    row : Row
        What is judged; without runs where it has not been run.
    reference : Row or None
        What it is compared with, None where that has not been run.
    gaps : tuple[Gap, ...]
        One for each tolerance of the test that there are figures for.
    """

    test: Test
    row: Row
    reference: Row | None
    gaps: tuple[Gap, ...]

    @property
    def answer(self) -> str:
        """`HOLDS` where all gaps do, `NOT` where one does not, else `UNDECIDED`.

        A run that diverged does not, with as many seeds as a decision needs.
        """
        answers = {gap.answer for gap in self.gaps}
        if self.reference is None or self.reference.diverged or not answers:
            return UNDECIDED
        if NOT in answers or (self.row.diverged and len(self.row.runs) >= SEEDS):
            return NOT
        complete = len(self.gaps) == len(self.test.tolerances) and not self.row.diverged
        return HOLDS if complete and answers == {HOLDS} else UNDECIDED

    @property
    def case(self) -> Case:
        """What makes the case."""
        return tuple(self.row.variant.value(name) for name in self.test.cases)


def judge(claim: Claim, rows: Sequence[Row], test: Test | None = None) -> list[Judged]:
    """Return all variants that a test, the first if none is named, has to judge, run or not."""
    rule = test or claim.test
    by_variant = {str(row.variant): row for row in rows}
    found = []
    for variant in filter(rule.judges, claim.variants):
        row = by_variant.get(str(variant), Row(variant, ()))
        other = next((r for r in rows if rule.compares(variant, r.variant)), None)
        gaps = tuple(_gaps(claim, rule, row, other)) if other is not None else ()
        found.append(Judged(rule, row, other, gaps))
    return found


def cases(judged: Sequence[Judged]) -> dict[Case, list[Judged]]:
    """Return what is judged by case; the first of each is the case as it stands."""
    found: dict[Case, list[Judged]] = {}
    for one in judged:
        found.setdefault(one.case, []).append(one)
    return found


def _gaps(claim: Claim, test: Test, row: Row, other: Row) -> Iterator[Gap]:
    mine = {run.seed: run for run in row.runs}
    pairs = [(mine[run.seed], run) for run in other.runs if run.seed in mine]
    for measure, tolerance in test.tolerances.items():
        behind = [_behind(claim.level(row.variant), measure, *pair) for pair in pairs]
        values = [value for value in behind if value is not None]
        if values:
            beyond = _beyond(claim.level(row.variant), pairs) if measure == "rounds" else ()
            yield Gap(measure, interval(values), tolerance, len(values), *beyond)


def _beyond(level: float, pairs: Sequence[tuple[Run, Run]]) -> tuple[bool, bool]:
    """Return whether a judged run, and whether a reference, alone never reached a level."""
    reached = [tuple(rounds_to(run, level) <= len(run.rounds) for run in pair) for pair in pairs]
    return (False, True) in reached, (True, False) in reached


def _behind(level: float, measure: str, run: Run, reference: Run) -> float | None:
    """Return how far a run is behind; None for rounds to a level that neither has reached."""
    if measure == "rounds":
        mine, other = rounds_to(run, level), rounds_to(reference, level)
        reached = mine <= len(run.rounds) or other <= len(reference.rounds)
        return mine - other if reached else None
    if measure == "swing":
        own, beside = swing(run), swing(reference)
        return None if own is None or beside is None else 100 * (own - beside)
    if measure == "mean":
        return 100 * (final(reference).mean - final(run).mean)
    return 100 * (final(reference).min - final(run).min)
