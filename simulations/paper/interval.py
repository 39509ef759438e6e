"""What a few seeds say of a mean: its 95 % interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean, and half the width of its interval; None where there are fewer than two values."""

    mean: float
    half: float | None

    @property
    def low(self) -> float:
        """The lower end; minus infinity where the width is not known."""
        return -math.inf if self.half is None else self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end; infinity where the width is not known."""
        return math.inf if self.half is None else self.mean + self.half


def interval(values: Sequence[float]) -> Interval:
    r"""Return the mean of ``values`` and its 95 % interval by Student's t.

    .. math:: \bar x \pm t_{0.975, n-1} \, s / \sqrt n

    with s the standard deviation of the n values, one for each seed, n - 1 in its denominator.
    """
    mean = statistics.fmean(values)
    count = len(values)
    if count < 2:
        return Interval(mean, None)
    from scipy.stats import t

    quantile = float(t.ppf((1 + LEVEL) / 2, count - 1))
    return Interval(mean, quantile * statistics.stdev(values) / math.sqrt(count))
