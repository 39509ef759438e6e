"""One device's row of the mixing matrix, and what becomes of it where messages are lost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from ..errors import ConfigError, WeightsError
from ..topology.neighborhood import Neighbor
from .rules import WeightRule

REWEIGHT = "reweight"
"""The policy by which a step's weights are those of the links that are up in it."""

MISSING_POLICIES = ("self", "neighbors", REWEIGHT)


def row_of(rule: WeightRule, own: Neighbor, neighbors: Sequence[Neighbor]) -> dict[int, float]:
    """Return the weight a_kj that a rule gives each neighbor j, in ascending id order.

    Parameters
    ----------
    rule : WeightRule
        One of the user's own may leave neighbors out: their weights are 0.
    own : Neighbor
        The device k itself.
    neighbors : Sequence[Neighbor]
        Its neighbors j.

    Raises
    ------
    WeightsError
        The neighbors lack what the rule needs, or it gives something else than finite
        weights by the neighbors' ids.
    """
    said = rule.row(own, neighbors)
    ids = sorted(neighbor.id for neighbor in neighbors)
    try:
        row = {int(j): float(weight) for j, weight in said.items()}
    except (AttributeError, TypeError, ValueError):
        row = {own.id: math.nan}
    if not set(row) <= set(ids) or not all(map(math.isfinite, row.values())):
        wrong = f"must give device {own.id} finite weights by the ids of its neighbors"
        raise WeightsError("weights", rule, f"{wrong}, {ids}, not {said!r:.80}")
    return {j: row.get(j, 0.0) for j in ids}


def own_weight(row: Mapping[int, float]) -> float:
    """Return what is left for the device itself: a_kk = 1 - sum_j a_kj."""
    return 1.0 - sum(row.values())


def weaken_stale(row: Mapping[int, float], ages: Mapping[int, int]) -> dict[int, float]:
    """Return the row with less weight on old models: a_kj / (1 + age), in rounds.

    What is taken from them is the device's own.
    """
    return {j: weight / (1 + ages.get(j, 0)) for j, weight in row.items()}


def keep_answered(
    row: Mapping[int, float], answered: Iterable[int], on_missing: str = "self"
) -> dict[int, float]:
    """Return the row without the neighbors that did not answer; it still sums to 1.

    Parameters
    ----------
    row : Mapping[int, float]
        Weight of each neighbor; with ``reweight``, as `p2pl_flower.weights.live_row` gives it.
    answered : Iterable[int]
        Ids of those that answered; others than the row's are ignored.
    on_missing : str
        Where a lost neighbor's weight goes. ``self``: back to the device itself, which
        keeps a symmetric matrix symmetric under symmetric losses, hence doubly
        stochastic. ``neighbors``: to those that did answer, in proportion to their
        weights, so that the own weight stays (to the device itself where none did).
        ``reweight``: as ``self``, for there it is only what got lost on its way at last.

    Raises
    ------
    ConfigError
        ``on_missing`` is not in `MISSING_POLICIES`.
    """
    if on_missing not in MISSING_POLICIES:
        raise ConfigError("on_missing", on_missing, "unknown policy", MISSING_POLICIES)
    heard = set(answered)
    kept = {j: weight for j, weight in row.items() if j in heard}
    total = sum(kept.values())
    if on_missing != "neighbors" or total <= 0 or len(kept) == len(row):
        return kept
    scale = sum(row.values()) / total
    return {j: weight * scale for j, weight in kept.items()}
