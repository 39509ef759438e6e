"""The message that most others are near to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...named_arrays import Model
from .base import ByShare, finite, hostile, square_distance, towards


@dataclass(frozen=True)
class Krum(ByShare):
    r"""The device moves to the one message that is nearest to most others.

    Of the own message and the n - 1 that arrived, it is the one with the least sum of squared
    distances to its n - b - 2 nearest, one at least; b = ceil(share n), less than n / 2:

    .. math:: m_k \leftarrow m_k + \gamma (m_{j^*} - m_k)

    Mixing weights do not matter. Messages are not averaged, so that noise stays as it is.

    Parameters
    ----------
    share : float
        The share of the messages that may be hostile, in [0, 0.5).

    References
    ----------
    P. Blanchard et al., "Machine learning with adversaries: Byzantine tolerant gradient
    descent", NeurIPS 2017.
    """

    def combine(
        self, own: Model, received: Mapping[int, Model], row: Mapping[int, float], gamma: float
    ) -> Model:
        """Return the own message, moved to the one that was chosen."""
        messages = [own, *finite(own, received).values()]
        count = len(messages)
        apart = np.zeros((count, count))
        for i in range(count):
            for j in range(i + 1, count):
                apart[i, j] = apart[j, i] = square_distance(messages[i], messages[j])
        return towards(own, messages[self.chosen(apart)], gamma)

    def chosen(self, apart: NDArray[np.float64]) -> int:
        """Return which of n messages is chosen, by their squared distances, shape (n, n).

        The diagonal does not count; of equal ones it is the first.
        """
        count = len(apart)
        near = max(1, count - hostile(self.share, count) - 2)
        others = apart[~np.eye(count, dtype=np.bool_)].reshape(count, count - 1)
        return int(np.sort(others, axis=1)[:, :near].sum(1).argmin())
