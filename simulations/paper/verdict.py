"""Whether a claim holds: worked out from its runs, never written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .claims import Claim
from .summary import Row

HOLDS, CONDITIONS, NOT = "holds", "holds with conditions", "does not hold"
UNKNOWN = "open"


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
    """One of four words, and the figures behind it in a sentence."""

    word: str
    detail: str


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
        return Verdict(UNKNOWN, f"{len(rows)} of {len(claim.variants)} variants have been run")
    cases: dict[tuple[object, ...], list[Judged]] = {}
    for judged in judge(claim, rows):
        key = tuple(judged.row.variant.value(name) for name in claim.test.cases)
        cases.setdefault(key, []).append(judged)
    plain = [key for key, tried in cases.items() if tried[0].passes]
    helped = [key for key, tried in cases.items() if key not in plain and _passing(tried)]
    failed = [key for key in cases if key not in plain and key not in helped]
    word = HOLDS if len(plain) == len(cases) else CONDITIONS if plain or helped else NOT
    parts = []
    if plain:
        widest = max((cases[key][0] for key in plain), key=lambda j: j.worst_gap)
        named = "" if not claim.test.cases else f" for {_names(plain, len(cases))}"
        parts.append(
            f"as it stands{named}: at most {_widest(cases, plain):.2f} points below, "
            f"the worst device {widest.worst_gap:.2f}"
        )
    parts += [f"for {_name(key)} {_with(claim, cases[key])}" for key in helped]
    for key in failed:
        nearest = min(cases[key], key=lambda j: (j.worst_gap, j.mean_gap))
        named = f"for {_name(key)}: " if claim.test.cases else ""
        parts.append(
            f"not {named}{nearest.mean_gap:.2f} points below, the worst device "
            f"{nearest.worst_gap:.2f}{_means(claim, nearest)}"
        )
    return Verdict(word, "; ".join(parts))


def _passing(tried: Sequence[Judged]) -> list[Judged]:
    return [judged for judged in tried if judged.passes]


def _widest(cases: dict[tuple[object, ...], list[Judged]], keys: list[tuple[object, ...]]) -> float:
    return max(cases[key][0].mean_gap for key in keys)


def _with(claim: Claim, tried: Sequence[Judged]) -> str:
    first = _passing(tried)[0]
    gaps = f"({first.mean_gap:.2f} and {first.worst_gap:.2f} points)"
    return f"{_means(claim, first).strip()} {gaps}"


def _means(claim: Claim, judged: Judged) -> str:
    """Return the settings that are no part of the case, as ' with a 1, b 2'."""
    variant = judged.row.variant
    means = [f"{k} {v}" for k, v in variant.settings.items() if k not in claim.test.cases]
    if "contender" not in claim.test.cases and variant.contender != "p2pl":
        means.insert(0, variant.contender)
    return f" with {', '.join(means)}" if means else ""


def _names(keys: Sequence[tuple[object, ...]], of: int) -> str:
    if len(keys) == of and of > 3:
        return f"all {of} cases"
    return ", ".join(map(_name, keys))


def _name(key: Sequence[object]) -> str:
    return " ".join(str(part) for part in key)
