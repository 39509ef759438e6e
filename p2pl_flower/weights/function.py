"""Weights by a function of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..topology.neighborhood import Neighbor
from .rules import WeightRule

WeightFunction = Callable[[Neighbor, Sequence[Neighbor]], Mapping[int, float]]


@dataclass(frozen=True)
class FunctionRule(WeightRule):
    """a_kj as ``function(own, neighbors)`` says, by the neighbors' ids.

    Parameters
    ----------
    function : callable
        See `WeightRule.row`.
    """

    function: WeightFunction

    def row(self, own: Neighbor, neighbors: Sequence[Neighbor]) -> Mapping[int, float]:
        """Return what the function says."""
        return self.function(own, neighbors)
