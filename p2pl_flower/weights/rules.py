"""The rules by which a device weighs its neighbors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import WeightsError
from ..topology.neighborhood import Neighbor

TOLERANCE = 1e-6


class WeightRule(ABC):
    """How a device weighs its neighbors."""

    @abstractmethod
    def row(self, own: Neighbor, neighbors: Sequence[Neighbor]) -> Mapping[int, float]:
        """Return the weight a_kj of each neighbor j, by its id; it is 0 where it is left out.

        Parameters
        ----------
        own : Neighbor
            The device k itself.
        neighbors : Sequence[Neighbor]
            Its neighbors j.

        Raises
        ------
        WeightsError
            The neighbors lack what the rule needs.
        """


@dataclass(frozen=True)
class Metropolis(WeightRule):
    """a_kj = 1 / (1 + max(d_k, d_j)), d the degrees: symmetric, so doubly stochastic.

    Consensus is on the plain mean. Synonym: Metropolis-Hastings weights; the local-degree
    weights of Xiao and Boyd (2004) lack the 1 that is added here.

    References
    ----------
    L. Xiao and S. Boyd, "Fast linear iterations for distributed averaging", Systems and
    Control Letters 53, 2004.
    L. Xiao, S. Boyd and S. Lall, "A scheme for robust distributed sensor fusion based on
    average consensus", IPSN 2005.
    """

    def row(self, own: Neighbor, neighbors: Sequence[Neighbor]) -> dict[int, float]:
        """Return 1 / (1 + max(d_k, d_j)) for each neighbor."""
        return {j.id: 1 / (1 + max(own.degree, j.degree)) for j in _ascending(neighbors)}


@dataclass(frozen=True)
class Uniform(WeightRule):
    """a_kj = 1 / (d_k + 1), the plain mean of the closed neighborhood: row-stochastic.

    Consensus weighs device k in proportion to d_k + 1.

    References
    ----------
    R. Olfati-Saber, J. A. Fax and R. M. Murray, "Consensus and cooperation in networked
    multi-agent systems", Proceedings of the IEEE 95, 2007.
    """

    def row(self, own: Neighbor, neighbors: Sequence[Neighbor]) -> dict[int, float]:
        """Return 1 / (d_k + 1) for each neighbor."""
        return {j.id: 1 / (own.degree + 1) for j in _ascending(neighbors)}


@dataclass(frozen=True)
class DataSize(WeightRule):
    """a_kj = n_j / (n_k + sum_i n_i) over the neighbors i, n the samples: row-stochastic.

    It is FedAvg's average of the closed neighborhood. Consensus weighs device k in
    proportion to n_k times the samples in its closed neighborhood.

    References
    ----------
    B. McMahan, E. Moore, D. Ramage, S. Hampson and B. Aguera y Arcas,
    "Communication-efficient learning of deep networks from decentralized data",
    AISTATS 2017.
    """

    def row(self, own: Neighbor, neighbors: Sequence[Neighbor]) -> dict[int, float]:
        """Return each neighbor's share of the samples in the closed neighborhood."""
        total = sum(device.samples for device in (own, *neighbors))
        if total <= 0:
            rule = f"device {own.id} and its neighbors have no samples; give sample counts"
            raise WeightsError("weights", "data-size", rule)
        return {j.id: j.samples / total for j in _ascending(neighbors)}


@dataclass(frozen=True)
class Custom(WeightRule):
    """a_kj as the user's own matrix has it, carried by ``Neighbor.weight``."""

    def row(self, own: Neighbor, neighbors: Sequence[Neighbor]) -> dict[int, float]:
        """Return each neighbor's ``weight``, scaled down where they sum to just above 1."""
        row = {j.id: j.weight for j in _ascending(neighbors)}
        weights = {j: weight for j, weight in row.items() if weight is not None and weight >= 0}
        total = sum(weights.values())
        if len(weights) < len(row) or total > 1 + TOLERANCE:
            rule = f"device {own.id} needs a non-negative matrix weight of each neighbor, sum <= 1"
            raise WeightsError("weights", row, rule)
        return {j: weight / max(1.0, total) for j, weight in weights.items()}


def _ascending(neighbors: Sequence[Neighbor]) -> list[Neighbor]:
    return sorted(neighbors, key=lambda neighbor: neighbor.id)
