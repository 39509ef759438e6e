"""A verdict in words: what a reader may rely on, and the figures behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .claims import Claim
from .rule import Test
from .summary import Row
from .verdict import HOLDS, NOT, SEEDS, UNDECIDED, Gap, Judged, cases, judge

_FEW = 6
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

    The word is that of the claim's first test; the others follow in the brief.
    """
    missing = len(claim.variants) - len(rows)
    state = f"{len(rows)} of {len(claim.variants)} variants have been run"
    if not rows:
        return Verdict(UNDECIDED, state, (state,))
    found = [(test, judge(claim, rows, test)) for test in claim.tests]
    briefs = [_brief(test, judged) for test, judged in found]
    detail = [_line(one) for _, judged in found for one in judged]
    more = [state] if missing else []
    return Verdict(_word(found[0][1]), "; ".join([*briefs, *more]), (*detail, *more))


def _word(judged: Sequence[Judged]) -> str:
    """Return the one answer of all cases as they stand, or how many have which."""
    plain = [tried[0].answer for tried in cases(judged).values()]
    if len(set(plain)) == 1:
        return plain[0]
    parts = [f"{word} in {plain.count(word)}" for word in (HOLDS, NOT, UNDECIDED) if word in plain]
    return f"{', '.join(parts)} of {len(plain)} cases" if plain else UNDECIDED


def _brief(test: Test, judged: Sequence[Judged]) -> str:
    """Say in which cases the claim holds as it stands, and in which more with other settings."""
    tried = cases(judged)
    plain = [ones[0] for ones in tried.values()]
    parts = [_line(one) for one in plain] if len(plain) <= _FEW else _by_answer(plain)
    open_cases = [ones for ones in tried.values() if ones[0].answer != HOLDS]
    helped = [one for ones in open_cases for one in ones[1:] if one.answer == HOLDS]
    if helped and len(plain) <= _FEW:
        parts += [_line(one) for one in helped]
    elif helped:
        cases_helped = len({one.case for one in helped})
        parts.append(f"with other settings holds in {cases_helped} of the others")
    return (f"{test.text}: " if test.text else "") + "; ".join(parts)


def _by_answer(plain: Sequence[Judged]) -> list[str]:
    """Return the cases' names under each answer."""
    found = []
    for word in (HOLDS, NOT, UNDECIDED):
        names = [_name(one) for one in plain if one.answer == word]
        if names:
            found.append(f"{word} for {', '.join(names)}")
    return found


def _line(one: Judged) -> str:
    """Return the answer for one variant, and the gaps that it follows from."""
    what = " ".join(filter(None, [one.answer, f"for {_name(one)}", _means(one)]))
    if one.reference.diverged:
        return f"{what}: the reference diverged"
    if one.row.diverged:
        return f"{what}: diverged"
    seeds = {gap.seeds for gap in one.gaps}
    few = [f"{n} seed{'s' * (n > 1)}" for n in seeds if n < SEEDS]
    return f"{what}: {', '.join([*map(_gap, one.gaps), *few])}"


def _gap(gap: Gap) -> str:
    """Return a gap with its interval: the judged variant minus its reference."""
    sign, digits = (1, 1) if gap.measure == "rounds" else (-1, 2)  # behind in rounds is more

    def shown(value: float) -> str:
        return f"{round(sign * value, digits) + 0.0:+.{digits}f}"  # no minus before zero

    mean, half = gap.behind.mean, gap.behind.half
    if half is None:
        return f"{gap.measure} {shown(mean)}"
    low, high = sorted((sign * (mean - half), sign * (mean + half)))
    return f"{gap.measure} {shown(mean)} [{shown(sign * low)}, {shown(sign * high)}]"


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
