"""A verdict in words: what a reader may rely on, and the figures behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .claims import Claim
from .parts import parts
from .rule import Test
from .summary import Row
from .verdict import HOLDS, NOT, SEEDS, UNDECIDED, Gap, Judged, cases, judge

_FEW = 3
"""Cases that a brief verdict names one by one."""


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds.

    Attributes
    ----------
    word : str
        `HOLDS`, `NOT` or `UNDECIDED` where all cases as they stand have the same answer, else
        how many have which.
    brief : str
        In which cases.
    detail : tuple[str, ...]
        All figures behind it, one line for each variant that is judged.
    """

    word: str
    brief: str
    detail: tuple[str, ...]


def verdict(claim: Claim, rows: Sequence[Row]) -> Verdict:
    """Return whether the claim holds in each case as it stands, and what other settings do.

    The cases are those of all of the claim's tests.
    """
    state = f"{len(rows)} of {len(claim.variants)} variants have been run"
    if not rows:
        return Verdict(UNDECIDED, state, (state,))
    found = [(test, judge(claim, rows, test)) for test in claim.tests]
    briefs = [_brief(claim, test, judged) for test, judged in found]
    detail = [_about(test) + _line(claim, one) for test, judged in found for one in judged]
    more = [state] if len(rows) < len(claim.variants) else []
    return Verdict(
        _word([judged for _, judged in found]), "; ".join([*briefs, *more]), (*detail, *more)
    )


def _word(found: Sequence[Sequence[Judged]]) -> str:
    """Return the one answer of all cases as they stand, or how many have which."""
    plain = [tried[0].answer for judged in found for tried in cases(judged).values()]
    if len(set(plain)) == 1:
        return plain[0]
    said = [f"{word} in {plain.count(word)}" for word in (HOLDS, NOT, UNDECIDED) if word in plain]
    return f"{', '.join(said)} of {len(plain)} cases"


def _brief(claim: Claim, test: Test, judged: Sequence[Judged]) -> str:
    """Say in which cases the claim holds as it stands, and in which more with other settings."""
    tried = cases(judged)
    plain = [ones[0] for ones in tried.values()]
    helped = [
        next(one for one in ones if one.answer == HOLDS)
        for ones in tried.values()
        if ones[0].answer != HOLDS and any(one.answer == HOLDS for one in ones)
    ]
    if len(plain) <= _FEW:
        return _about(test) + "; ".join(_line(claim, one) for one in [*plain, *helped])
    said = _by_answer(plain)
    said += [f"with other settings holds in {len(helped)} of the others"] if helped else []
    return _about(test) + "; ".join(said)


def _about(test: Test) -> str:
    return f"{test.text}: " if test.text else ""


def _by_answer(plain: Sequence[Judged]) -> list[str]:
    """Return the cases' names under each answer."""
    found = []
    for word in (HOLDS, NOT, UNDECIDED):
        names = [_name(one) for one in plain if one.answer == word]
        if len(names) == len(plain):
            return [f"{word} in all {len(names)} cases{_few_seeds(plain)}"]
        if names:
            few = _few_seeds([one for one in plain if one.answer == word])
            found.append(f"{word} for {', '.join(names)}{few}")
    return found


def _line(claim: Claim, one: Judged) -> str:
    """Return the answer for one variant, and the gaps that it follows from."""
    what = " ".join(filter(None, [one.answer, f"for {_name(one)}", _means(one)]))
    said = _reason(one) or ", ".join(map(_gap, one.gaps))
    return f"{what}: {said}{_few_seeds([one])}" + (
        _disconnected(claim, one) if one.answer != HOLDS else ""
    )


def _reason(one: Judged) -> str:
    """Say why there is nothing to compare; empty where there is."""
    if not one.row.runs:
        return "not run yet"
    if one.reference is None:
        return "its reference has not been run yet"
    if one.reference.diverged:
        return "the reference diverged"
    if one.row.diverged:
        return "diverged"
    return "" if one.gaps else "neither reached the level"


def _few_seeds(judged: Sequence[Judged]) -> str:
    """Say that a decision lacks seeds, where that is so of all."""
    counts = {gap.seeds for one in judged for gap in one.gaps}
    if not counts or max(counts) >= SEEDS:
        return ""
    return f" ({max(counts)} seed{'s' * (max(counts) > 1)})"


def _disconnected(claim: Claim, one: Judged) -> str:
    """Say where no algorithm could have brought the devices together."""
    for run in one.row.runs:
        count = parts(claim.scenario(one.row.variant, run.seed))
        if count > 1:
            return (
                f"; no algorithm could: all links of the run together leave the devices in {count} "
                f"parts (seed {run.seed})"
            )
    return ""


def _gap(gap: Gap) -> str:
    """Return a gap with its interval: the judged variant minus its reference."""
    sign = 1 if gap.measure in ("rounds", "swing") else -1  # behind is more of these
    digits = 1 if gap.measure == "rounds" else 2
    mean, half = gap.behind.mean, gap.behind.half

    def shown(value: float) -> str:
        return f"{round(sign * value, digits) + 0.0:+.{digits}f}"  # no minus before zero

    if half is None:
        return f"{gap.measure} {shown(mean)}"
    low, high = (mean - half, mean + half)[::sign]
    return f"{gap.measure} {shown(mean)} [{shown(low)}, {shown(high)}]"


def _means(one: Judged) -> str:
    """Return a variant's settings that are no part of its case."""
    variant = one.row.variant
    given = {*one.test.cases, *one.test.judged, *one.test.same}
    found = [f"{k} {v}" for k, v in variant.settings.items() if k not in given]
    if "contender" not in one.test.cases and variant.contender != "p2pl":
        found.insert(0, variant.contender)
    return f"with {', '.join(found)}" if found else ""


def _name(one: Judged) -> str:
    """Return what makes a case; what is as in the scenario goes without saying."""
    named = [(key, part) for key, part in zip(one.test.cases, one.case, strict=True) if part]
    return " ".join(_part(key, part) for key, part in named) or "the scenario as it is"


def _part(key: str, part: object) -> str:
    return str(part) if isinstance(part, str) else f"{key} {part}"
