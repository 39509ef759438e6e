"""Whether a claim holds: worked out from its runs, never written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .claims import Claim
from .summary import Row

HOLDS, CONDITIONS, NOT = "holds", "holds with conditions", "does not hold"
UNKNOWN = "open"

_FEW = 3
"""Cases that a brief verdict tells one by one."""

_ANY = 100.0
"""A tolerance with which every device passes: the claim is about the mean alone."""

Case = tuple[object, ...]
Cases = Mapping[Case, "list[Judged]"]


@dataclass(frozen=True)
class Judged:
    """A variant beside its reference.

    Attributes
    ----------
    row, reference : Row
        What is judged, and what it is compared with.
    mean_gap, worst_gap : float
        Points of accuracy by which the devices' mean, and the worst device, are below the
        reference's mean; negative where they are above it.
    passes : bool
        Whether both gaps are within the claim's tolerances.
    """

    row: Row
    reference: Row
    mean_gap: float
    worst_gap: float
    passes: bool


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds.

    Attributes
    ----------
    word : str
        `HOLDS`, `CONDITIONS`, `NOT` or `UNKNOWN`.
    brief : str
        The figures behind it, or what they add up to where the claim has many cases.
    detail : tuple[str, ...]
        All figures behind it.
    """

    word: str
    brief: str
    detail: tuple[str, ...]


def judge(claim: Claim, rows: Sequence[Row]) -> list[Judged]:
    """Return the judged variants, those without a reference left out."""
    found = []
    for row in rows:
        if not claim.test.judges(row.variant):
            continue
        other = next((r for r in rows if claim.test.compares(row.variant, r.variant)), None)
        if other is not None:
            mean, worst = 100 * (other.mean - row.mean), 100 * (other.mean - row.worst)
            passes = mean <= claim.test.mean and worst <= claim.test.worst
            found.append(Judged(row, other, mean, worst, passes))
    return found


def verdict(claim: Claim, rows: Sequence[Row]) -> Verdict:
    """Return whether the claim holds in every case as it stands, with other settings, or not."""
    if len(rows) < len(claim.variants):
        said = f"{len(rows)} of {len(claim.variants)} variants have been run"
        return Verdict(UNKNOWN, said, (said,))
    cases: dict[Case, list[Judged]] = {}
    for judged in judge(claim, rows):
        key = tuple(judged.row.variant.value(name) for name in claim.test.cases)
        cases.setdefault(key, []).append(judged)
    plain = [key for key, tried in cases.items() if tried[0].passes]
    helped = [key for key, tried in cases.items() if key not in plain and _passing(tried)]
    failed = [key for key in cases if key not in plain and key not in helped]
    word = HOLDS if len(plain) == len(cases) else CONDITIONS if plain or helped else NOT
    parts = [_as_it_stands(claim, plain, cases)] if plain else []
    parts += [_tried(claim, key, _passing(cases[key])[0]) for key in helped]
    for key in failed:
        nearest = min(cases[key], key=lambda j: (j.worst_gap, j.mean_gap))
        parts.append(f"not {_tried(claim, key, nearest)}")
    brief = "; ".join(parts) if len(cases) <= _FEW else _counts(plain, helped, failed)
    return Verdict(word, brief, tuple(parts))


def _counts(plain: Sequence[Case], helped: Sequence[Case], failed: Sequence[Case]) -> str:
    """Say in how many cases the claim holds, and in which it does not."""
    total = len(plain) + len(helped) + len(failed)
    parts = [f"in {len(plain)} of {total} cases as they stand"]
    parts += [f"in {len(helped)} more with other settings"] if helped else []
    parts += [f"not for {', '.join(map(_name, failed))}"] if failed else []
    return "; ".join(parts)


def _passing(tried: Sequence[Judged]) -> list[Judged]:
    return [judged for judged in tried if judged.passes]


def _as_it_stands(claim: Claim, plain: Sequence[Case], cases: Cases) -> str:
    """Say where the claim holds with nothing changed, and by how much at the least."""
    mean = max(cases[key][0].mean_gap for key in plain)
    worst = max(cases[key][0].worst_gap for key in plain)
    everywhere = len(plain) == len(cases) and len(plain) > 3
    named = f"all {len(cases)} cases" if everywhere else ", ".join(map(_name, plain))
    where = f" for {named}" if claim.test.cases else ""
    most = " at most" if len(plain) > 1 else ""
    return f"as it stands{where}: {_gaps(claim, mean, worst)}{most}"


def _tried(claim: Claim, key: Case, judged: Judged) -> str:
    """Return a case, a variant's settings that are no part of it, and how that came out."""
    variant = judged.row.variant
    given = {*claim.test.cases, *claim.test.judged, *claim.test.same}
    means = [f"{k} {v}" for k, v in variant.settings.items() if k not in given]
    if "contender" not in claim.test.cases and variant.contender != "p2pl":
        means.insert(0, variant.contender)
    what = [f"for {_name(key)}"] if claim.test.cases else []
    what += [f"with {', '.join(means)}"] if means else []
    return ": ".join(
        [*filter(None, [" ".join(what)]), _gaps(claim, judged.mean_gap, judged.worst_gap)]
    )


def _gaps(claim: Claim, mean: float, worst: float) -> str:
    asked = claim.test.worst < _ANY
    return f"mean {_points(mean)}" + (f", worst device {_points(worst)}" if asked else "")


def _points(gap: float) -> str:
    return f"{abs(gap):.2f} {'above' if gap < 0 else 'below'}"


def _name(key: Case) -> str:
    """Return what makes a case; what is as in the scenario goes without saying."""
    return " ".join(str(part) for part in key if part is not None) or "the scenario as it is"
