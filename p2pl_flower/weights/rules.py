"""The rules by which a device weighs its neighbors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsError
from ..topology.neighborhood import Neighbor

TOLERANCE = 1e-6


class WeightRule(ABC):
    """How a device weighs its neighbors.

    Attributes
    ----------
    symmetric : bool
        Whether a_kj = a_jk on every graph, so that the matrix is doubly stochastic, too.
    column_stochastic : bool
        Whether what a device sends, and not what it hears, has weights of sum 1: those that others
        give it follow from its own entry alone, and it keeps what they lack to 1.
    """

    symmetric: ClassVar[bool] = False
    column_stochastic: ClassVar[bool] = False

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


class Ends(NamedTuple):
    """What is known of the devices at one end of some links, an entry for each link.

    Attributes
    ----------
    id, degree, samples, weight, heard_by : NDArray
        As those of a `Neighbor`; a weight that nobody gave is NaN.
    """

    id: NDArray[Any]
    degree: NDArray[Any]
    samples: NDArray[Any]
    weight: NDArray[Any]
    heard_by: NDArray[Any]

    @classmethod
    def of(cls, devices: Sequence[Neighbor]) -> Ends:
        """Return what is known of devices, in their order."""
        weights = [np.nan if d.weight is None else d.weight for d in devices]
        return cls(
            np.array([d.id for d in devices]),
            np.array([d.degree for d in devices]),
            np.array([d.samples for d in devices]),
            np.array(weights),
            np.array([d.heard_by for d in devices]),
        )


class FormulaRule(WeightRule):
    """A rule that is a formula of what is known at both ends of a link.

    It is written once, for the links of one device and for all links of a graph.
    """

    @abstractmethod
    def weigh(self, own: Ends, other: Ends, heard: Ends) -> NDArray[Any]:
        """Return a_kj on each link from j to k.

        Parameters
        ----------
        own, other : Ends
            The devices k and j.
        heard : Ends
            For each k, the sums of samples and weights over all that it hears.
        """

    def row(self, own: Neighbor, neighbors: Sequence[Neighbor]) -> Mapping[int, float]:
        """Return the weights of one device's neighbors."""
        if not neighbors:
            return {}
        other = Ends.of(sorted(neighbors, key=lambda neighbor: neighbor.id))
        heard = Ends(*(np.asarray(column.sum()) for column in other))
        weights = np.broadcast_to(self.weigh(Ends.of([own]), other, heard), other.id.shape)
        return dict(zip(other.id.tolist(), weights.tolist(), strict=True))


@dataclass(frozen=True)
class Metropolis(FormulaRule):
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

    symmetric = True

    def weigh(self, own: Ends, other: Ends, heard: Ends) -> NDArray[Any]:
        """Return 1 / (1 + max(d_k, d_j))."""
        return np.asarray(1 / (1 + np.maximum(own.degree, other.degree)))


@dataclass(frozen=True)
class Uniform(FormulaRule):
    """a_kj = 1 / (d_k + 1), the plain mean of the closed neighborhood: row-stochastic.

    Consensus weighs device k in proportion to d_k + 1.

    References
    ----------
    R. Olfati-Saber, J. A. Fax and R. M. Murray, "Consensus and cooperation in networked
    multi-agent systems", Proceedings of the IEEE 95, 2007.
    """

    def weigh(self, own: Ends, other: Ends, heard: Ends) -> NDArray[Any]:
        """Return 1 / (d_k + 1)."""
        return np.asarray(1 / (own.degree + 1))


@dataclass(frozen=True)
class OutDegree(FormulaRule):
    """a_kj = 1 / (1 + o_j), o_j how many hear j: column-stochastic, on links of any direction.

    A device shares itself out evenly among those that hear it and itself. Sums are kept, and
    means are not: see `PushSum`, which needs it. What did not arrive stays with its sender, who is
    told who has heard it.

    References
    ----------
    D. Kempe, A. Dobra and J. Gehrke, "Gossip-based computation of aggregate information", FOCS
    2003.
    """

    column_stochastic = True

    def weigh(self, own: Ends, other: Ends, heard: Ends) -> NDArray[Any]:
        """Return 1 / (1 + o_j)."""
        return np.asarray(1 / (1 + other.heard_by))


@dataclass(frozen=True)
class DataSize(FormulaRule):
    """a_kj = n_j / (n_k + sum_i n_i) over the neighbors i, n the samples: row-stochastic.

    It is FedAvg's average of the closed neighborhood. Consensus weighs device k in
    proportion to n_k times the samples in its closed neighborhood.

    References
    ----------
    B. McMahan, E. Moore, D. Ramage, S. Hampson and B. Aguera y Arcas,
    "Communication-efficient learning of deep networks from decentralized data",
    AISTATS 2017.
    """

    def weigh(self, own: Ends, other: Ends, heard: Ends) -> NDArray[Any]:
        """Return j's share of the samples in the closed neighborhood of k."""
        totals = own.samples + heard.samples
        if (totals <= 0).any():
            device = np.broadcast_to(own.id, totals.shape)[np.argmin(totals)]
            rule = f"device {device} and its neighbors have no samples; give sample counts"
            raise WeightsError("weights", "data-size", rule)
        return np.asarray(other.samples / totals)


@dataclass(frozen=True)
class Custom(FormulaRule):
    """a_kj as the user's own matrix has it, carried by ``Neighbor.weight``."""

    def weigh(self, own: Ends, other: Ends, heard: Ends) -> NDArray[Any]:
        """Return j's ``weight``, scaled down where those of a device sum to just above 1."""
        wrong = ~(other.weight >= 0) | (heard.weight > 1 + TOLERANCE)
        if wrong.any():
            device = np.broadcast_to(own.id, wrong.shape)[np.argmax(wrong)]
            rule = f"device {device} needs a non-negative matrix weight of each neighbor, sum <= 1"
            raise WeightsError("weights", "custom", rule)
        return np.asarray(other.weight / np.maximum(1.0, heard.weight))
