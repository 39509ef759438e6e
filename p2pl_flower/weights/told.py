"""Weights that follow from whom devices hear in a step, which they tell each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ..topology.neighborhood import Neighbor
from .rows import row_of
from .rules import WeightRule


@dataclass(frozen=True)
class StepWeights:
    """One device's weights in a consensus step.

    Attributes
    ----------
    row : Mapping[int, float]
        a_kj of each neighbor j.
    kept : float or None
        a_kk; None for what the row lacks to 1.
    """

    row: Mapping[int, float]
    kept: float | None = None

    def scale(self, arrived: Mapping[int, float], gamma: float) -> float:
        """Return the sum of the device's row of (1 - gamma) I + gamma A, 1 but for columns' sums.

        Parameters
        ----------
        arrived : Mapping[int, float]
            What the row is without messages that did not arrive.
        gamma : float
            The consensus step size.
        """
        if self.kept is None:
            return 1.0
        return 1 - gamma + gamma * (self.kept + sum(arrived.values()))


def told_weights(
    rule: WeightRule,
    own: Neighbor,
    neighbors: Sequence[Neighbor],
    heard: Mapping[int, Collection[int]],
) -> StepWeights:
    """Return a device's weights, given whom it hears and what others say of that.

    Parameters
    ----------
    rule, own, neighbors, heard
        As for `live_row`, which says it for all rules but column-stochastic ones: by those, what
        others have heard of the device is theirs, and it keeps the rest.
    """
    if not rule.column_stochastic:
        return StepWeights(live_row(rule, own, neighbors, heard))
    mine = set(heard.get(own.id, ()))
    row = {j: weight for j, weight in row_of(rule, own, neighbors).items() if j in mine}
    hearing = sum(own.id in theirs for j, theirs in heard.items() if j != own.id)
    return StepWeights(row, kept_share(rule, own, hearing))


def live_row(
    rule: WeightRule,
    own: Neighbor,
    neighbors: Sequence[Neighbor],
    heard: Mapping[int, Collection[int]],
) -> dict[int, float]:
    """Return a device's row on the live graph: the links that are up in a consensus step.

    It is what the rule gives the device where it has no neighbors but those that it hears, and
    every device's degree is the number of those that it hears. Metropolis weights are then
    a_kj = 1 / (1 + max(d_k, d_j)) with the step's own d [1]_. A rule of symmetric weights
    leaves out neighbors that do not hear the device in turn, so that what gets lost one way
    keeps the matrix symmetric.

    Parameters
    ----------
    rule : WeightRule
        How devices weigh their neighbors.
    own : Neighbor
        The device k itself.
    neighbors : Sequence[Neighbor]
        Its neighbors j.
    heard : Mapping[int, Collection[int]]
        Whom devices hear in this step: the device itself, and the neighbors that have said it.

    References
    ----------
    .. [1] Xiao, Boyd and Lall, "A scheme for robust distributed sensor fusion based on average
       consensus", IPSN 2005.
    """
    mine = set(heard.get(own.id, ()))
    linked = [j for j in neighbors if j.id in mine]
    if rule.symmetric:
        linked = [j for j in linked if own.id in heard.get(j.id, ())]
    live = [replace(j, degree=len(heard[j.id])) if j.id in heard else j for j in linked]
    return row_of(rule, replace(own, degree=len(mine)), live) if live else {}


def kept_share(rule: WeightRule, own: Neighbor, hearing: int) -> float:
    """Return what a device keeps of itself by a column-stochastic rule.

    Parameters
    ----------
    rule : WeightRule
        The rule, by which all that hear the device give it the same weight.
    own : Neighbor
        The device.
    hearing : int
        How many have heard it: what the others would have got stays with it.
    """
    return 1.0 - hearing * row_of(rule, own, [own])[own.id]
