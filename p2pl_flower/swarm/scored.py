"""On which test samples models are scored, where not on all."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .nested import Nested, each


def some(
    test: tuple[Nested, Tensor], most: int | None, draw: np.random.Generator
) -> tuple[Nested, Tensor]:
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
    return each(lambda part: part[chosen], x), y[chosen]
