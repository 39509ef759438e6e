"""Which models are scored, and on which test samples, where not all are."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .workers import Ids


def fraction_of(devices: Ids, fraction: float, draw: np.random.Generator) -> Ids:
    r"""Return :math:`\lceil f K \rceil` of K devices at random, ascending.

    Parameters
    ----------
    devices : NDArray[int64], shape (K,)
        Those that may be scored.
    fraction : float
        f, in (0, 1].
    draw : numpy.random.Generator
        What is drawn from.
    """
    count = math.ceil(round(fraction * len(devices), 9))
    return devices if count == len(devices) else np.sort(draw.choice(devices, count, replace=False))


def some(
    test: tuple[Tensor, Tensor], most: int | None, draw: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return ``most`` of the N test samples at random, in their order; all for None.

    Parameters
    ----------
    test : (x, y), each of shape (N, ...)
        Inputs and targets.
    most : int or None
        How many.
    draw : numpy.random.Generator
        What is drawn from.
    """
    x, y = test
    if most is None or most >= len(y):
        return test
    chosen = torch.from_numpy(np.sort(draw.choice(len(y), most, replace=False)))
    return x[chosen], y[chosen]
