"""Whether a claim holds: worked out from its runs, never written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from p2pl_flower.history import Run

from .claims import Claim
from .interval import Interval, interval
from .measured import final, rounds_to
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
        ``mean``, ``worst device`` (both in points of accuracy) or ``rounds``.
    behind : Interval
        By how much; negative where it is ahead.
    tolerance : float
        What the claim allows.
    seeds : int
        How many pairs there are.
    """

    measure: str
    behind: Interval
    tolerance: float
    seeds: int

    @property
    def answer(self) -> str:
        """`HOLDS` or `NOT` where the whole interval says so, else `UNDECIDED`."""
        if self.seeds < SEEDS:
            return UNDECIDED
        if self.behind.high <= self.tolerance:
            return HOLDS
        return NOT if self.behind.low > self.tolerance else UNDECIDED


@dataclass(frozen=True)
class Judged:
    """A variant beside its reference.

    Attributes
    ----------
    test : Test
        What asks for it.
    row, reference : Row
        What is judged, and what it is compared with.
    gaps : tuple[Gap, ...]
        One for each tolerance of the test; none where the reference diverged.
    """

    test: Test
    row: Row
    reference: Row
    gaps: tuple[Gap, ...]

    @property
    def answer(self) -> str:
        """`HOLDS` where all gaps do, `NOT` where one does not, else `UNDECIDED`."""
        answers = {gap.answer for gap in self.gaps}
        if self.row.diverged and not self.reference.diverged:
            return NOT
        if not answers or self.reference.diverged:
            return UNDECIDED
        return NOT if NOT in answers else UNDECIDED if UNDECIDED in answers else HOLDS

    @property
    def case(self) -> Case:
        """What makes the case."""
        return tuple(self.row.variant.value(name) for name in self.test.cases)


def judge(claim: Claim, rows: Sequence[Row], test: Test | None = None) -> list[Judged]:
    """Return the judged variants of a test, the first if none is named.

    Those without a reference are left out.
    """
    rule, found = test or claim.test, []
    for row in rows:
        if not rule.judges(row.variant):
            continue
        other = next((r for r in rows if rule.compares(row.variant, r.variant)), None)
        if other is not None:
            found.append(Judged(rule, row, other, tuple(_gaps(claim, rule, row, other))))
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
    if not pairs:
        return
    for measure, tolerance in (
        ("mean", test.mean),
        ("worst device", test.worst),
        ("rounds", test.rounds),
    ):
        if tolerance is not None:
            values = [_behind(claim, measure, run, reference) for run, reference in pairs]
            yield Gap(measure, interval(values), tolerance, len(values))


def _behind(claim: Claim, measure: str, run: Run, reference: Run) -> float:
    if measure == "rounds":
        return rounds_to(run, claim.reach) - rounds_to(reference, claim.reach)
    if measure == "mean":
        return 100 * (final(reference).mean - final(run).mean)
    return 100 * (final(reference).min - final(run).min)
