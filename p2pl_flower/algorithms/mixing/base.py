"""What every mixing rule is, and the usual one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config import take, within
from ...named_arrays import Model, check_layout
from ..averaging import weighted_sum

Arrays = dict[str, NDArray[Any]]


class MixingRule(ABC):
    """How one device mixes its message with those that arrived, in the place of a weighted sum.

    A rule is used by every algorithm whose messages are mixed by a weighted sum. It sees NumPy
    arrays, in every engine.
    """

    @property
    def is_weighted_sum(self) -> bool:
        """Whether nothing takes the place of the weighted sum, or of what the algorithm has."""
        return type(self).combine is Weighted.combine

    @abstractmethod
    def combine(
        self, own: Model, received: Mapping[int, Model], row: Mapping[int, float], gamma: float
    ) -> Model:
        r"""Return the message after a consensus step.

        Parameters
        ----------
        own : Model
            :math:`m_k`, floating-point or complex arrays by name.
        received : Mapping[int, Model]
            :math:`m_j` of the neighbors j that answered: arrays of the same names and shapes.
        row : Mapping[int, float]
            :math:`a_{kj}` of each of them; the own weight is what they lack to 1.
        gamma : float
            :math:`\gamma`, the consensus step size.
        """


@dataclass(frozen=True)
class Weighted(MixingRule):
    r"""The weighted sum, or what the algorithm has in its place.

    .. math:: m_k \leftarrow m_k + \gamma \sum_j a_{kj} (m_j - m_k)

    One neighbor that sends what it likes moves the result as far as it likes.
    """

    def combine(
        self, own: Model, received: Mapping[int, Model], row: Mapping[int, float], gamma: float
    ) -> Model:
        """Return the weighted sum."""
        return weighted_sum(own, received, row, gamma)


def finite(own: Model, received: Mapping[int, Model]) -> dict[int, Model]:
    """Return the messages, in ascending order of devices, that hold nothing but finite numbers.

    Raises
    ------
    LayoutError
        A message has other arrays than the own.
    """
    kept: dict[int, Model] = {}
    for j in sorted(received):
        check_layout(own, received[j], f"device {j}")
        if all(np.isfinite(received[j][name]).all() for name in own):
            kept[j] = received[j]
    return kept


def wide(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in single precision at least."""
    return array.astype(np.result_type(array.dtype, np.float32), copy=False)


def towards(own: Model, target: Model, gamma: float) -> Arrays:
    """Return own + gamma (target - own), in the own arrays' precision."""
    return {
        name: np.asarray(
            wide(array) + gamma * (wide(target[name]) - wide(array)), dtype=array.dtype
        )
        for name, array in own.items()
    }


def square_distance(one: Model, other: Model) -> float:
    """Return the squared L2 distance of two messages, in double precision; infinity beyond it."""
    with np.errstate(over="ignore", invalid="ignore"):  # of what neighbors may send
        return sum(
            float(np.square(np.abs(wide(other[name]) - wide(array)), dtype=np.float64).sum())
            for name, array in one.items()
        )


@dataclass(frozen=True)
class ByShare(MixingRule):
    """A rule that stands a share of hostile messages, in [0, 0.5)."""

    share: float = 0.2

    def __post_init__(self) -> None:
        check_share(self.share)


def check_share(share: float) -> None:
    """Refuse a share of hostile neighbors that no rule can stand."""
    take("share", share, float, within("[0, 0.5)"))


def hostile(share: float, messages: int) -> int:
    """Return how many of some messages may be hostile: a share of them, rounded up, not half."""
    return min(math.ceil(share * messages - 1e-9), (messages - 1) // 2)
