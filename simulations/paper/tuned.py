"""The table of what was tuned: every grid point's score, and the choice."""

from __future__ import annotations

from collections.abc import Sequence

from p2pl_flower.history import History

from .claims import Claim
from .rule import Variant
from .tuning import at_the_edge, scores, tuned


def tuning_table(claim: Claim, tried: History) -> list[list[str]]:
    """Return a row for each tuned variant: its scores on the validation part, and the choice.

    Empty where nothing has been tried. Scores are in percent, empty where one has not been run; the
    choice, a dash until all have, is marked where it is the least or the largest value tried.
    """
    if claim.tune is None or not tried.runs:
        return []
    points = [_named(list(point.items())) for point in claim.tune.points(claim.variants[0])]
    lines = [["contender", *claim.keys, *points, "chosen"]]
    for variant in claim.variants:
        found = {_named(list(p.items())): score for p, score in scores(claim, tried, variant)}
        if set(found) != set(points) or all(score is None for score in found.values()):
            continue
        keys = [str(variant.settings.get(key, "")) for key in claim.keys]
        cells = [_percent(found[point]) for point in points]
        lines.append([variant.contender, *keys, *cells, _choice(claim, tried, variant)])
    return lines


def _choice(claim: Claim, tried: History, variant: Variant) -> str:
    chosen = tuned(claim, tried, variant)
    if chosen is None:
        return "-"
    own = {k: v for k, v in chosen.settings.items() if k not in variant.settings}
    edge = " (at the end of the grid)" if at_the_edge(claim, chosen, variant) else ""
    return _named(list(own.items())) + edge


def _named(point: Sequence[tuple[str, object]]) -> str:
    return ", ".join(f"{key} {value}" for key, value in point)


def _percent(score: float | None) -> str:
    if score is None:
        return ""
    return f"{100 * score:.2f}" if score else "diverged"
