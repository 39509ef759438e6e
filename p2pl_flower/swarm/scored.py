"""On which test samples models are scored, where not on all."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


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
