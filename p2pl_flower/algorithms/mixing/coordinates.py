"""Robust means of each number by itself, over a device and its neighbors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...named_arrays import Model, check_real
from .base import ByShare, MixingRule, finite, hostile, towards, wide


@dataclass(frozen=True)
class TrimmedMean(ByShare):
    r"""The mean of what is left of each number without its b largest and b smallest values.

    .. math:: m_k \leftarrow m_k + \gamma (\mathrm{mean}(x_{(b+1)}, \dots, x_{(n-b)}) - m_k)

    with x the sorted values of the own message and the n - 1 that arrived, and b = ceil(share n),
    less than n / 2. All that is left counts alike: mixing weights do not matter.

    Parameters
    ----------
    share : float
        The share of the messages that may be hostile, in [0, 0.5).

    References
    ----------
    D. Yin et al., "Byzantine-robust distributed learning: towards optimal statistical rates",
    ICML 2018, arXiv 1803.01498.
    """

    def combine(
        self, own: Model, received: Mapping[int, Model], row: Mapping[int, float], gamma: float
    ) -> Model:
        """Return the own message, moved to the trimmed mean."""
        messages = [own, *finite(own, received).values()]
        cut = hostile(self.share, len(messages))
        means = {
            name: ordered[cut : len(messages) - cut].mean(0)
            for name, ordered in _ordered(own, messages)
        }
        return towards(own, means, gamma)


@dataclass(frozen=True)
class Median(MixingRule):
    r"""The median of each number over the own message and those that arrived.

    .. math:: m_k \leftarrow m_k + \gamma (\mathrm{median}(x) - m_k)

    Of an even number of values it is the mean of the two in the middle. Mixing weights do not
    matter. On data that differ it is off the mean, with nobody hostile too.

    References
    ----------
    D. Yin et al., "Byzantine-robust distributed learning: towards optimal statistical rates",
    ICML 2018, arXiv 1803.01498.
    """

    def combine(
        self, own: Model, received: Mapping[int, Model], row: Mapping[int, float], gamma: float
    ) -> Model:
        """Return the own message, moved to the median."""
        messages = [own, *finite(own, received).values()]
        low, high = (len(messages) - 1) // 2, len(messages) // 2
        medians = {
            name: (ordered[low] + ordered[high]) / 2 for name, ordered in _ordered(own, messages)
        }
        return towards(own, medians, gamma)


def _ordered(own: Model, messages: list[Model]) -> list[tuple[str, NDArray[Any]]]:
    """Return, for each array, the messages' values in ascending order, shape (n, ...)."""
    check_real(own, "take mixing='clipped-gossip' or 'krum'")
    return [(n, np.sort(np.stack([wide(m[n]) for m in messages]), axis=0)) for n in own]
