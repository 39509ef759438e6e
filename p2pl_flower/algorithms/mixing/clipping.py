"""Self-centered clipping: nobody moves a device further than a radius."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...config import take, within
from ...named_arrays import Model
from .base import MixingRule, check_share, finite, square_distance, wide


@dataclass(frozen=True)
class ClippedGossip(MixingRule):
    r"""Each neighbor's difference is clipped to a radius about the device's own message.

    .. math::

        m_k \leftarrow m_k + \gamma \sum_j a_{kj} \min\left(1,
        \frac{\tau_k}{\|m_j - m_k\|}\right) (m_j - m_k)

    norms being over all arrays together. Its theory bounds the error for connected honest devices
    whose hostile neighbors weigh little, by the spread of honest messages.

    Parameters
    ----------
    radius : float
        :math:`\tau_k`, the same on all devices and in all rounds; 0 adapts it. The paper's own
        adaptive radius needs variances that no device knows; ours is the smallest distance such
        that neighbors beyond it weigh no more than ``share`` of all that answered.
    share : float
        The share of the neighbors' weight that may be hostile, in [0, 0.5); for radius 0.

    References
    ----------
    L. He, S. P. Karimireddy and M. Jaggi, "Byzantine-robust decentralized learning via
    ClippedGossip", arXiv 2202.01545.
    """

    radius: float = 0.0
    share: float = 0.2

    def __post_init__(self) -> None:
        take("radius", self.radius, float, within("[0, inf)"))
        check_share(self.share)

    def combine(
        self, own: Model, received: Mapping[int, Model], row: Mapping[int, float], gamma: float
    ) -> Model:
        """Return the own message, moved by what was clipped."""
        heard = finite(own, received)
        distances = {j: math.sqrt(square_distance(own, message)) for j, message in heard.items()}
        radius = self.radius or self.adapted(distances, row)
        sums = {name: wide(array).copy() for name, array in own.items()}
        for j, message in heard.items():
            factor = gamma * row[j] * min(1.0, radius / distances[j] if distances[j] else 1.0)
            for name, total in sums.items():
                total += factor * (wide(message[name]) - wide(own[name]))
        return {name: np.asarray(total, dtype=own[name].dtype) for name, total in sums.items()}

    def adapted(self, distances: Mapping[int, float], row: Mapping[int, float]) -> float:
        """Return the smallest distance beyond which neighbors weigh no more than the share."""
        ordered = sorted(distances, key=lambda j: distances[j])
        most = (1 - self.share) * sum(row[j] for j in ordered)
        within = 0.0
        for j in ordered:
            within += row[j]
            if within >= most - 1e-12:
                return distances[j]
        return 0.0
