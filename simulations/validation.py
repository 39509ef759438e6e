"""A validation part of the training set: held out from training, to choose settings by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from p2pl_flower.seeding import Stream, generator

Indices = NDArray[np.int64]


def hold_out(
    parts: Sequence[Indices], share: float, seed: int
) -> tuple[tuple[Indices, ...], Indices]:
    """Take a share of each device's samples away, drawn at random.

    Parameters
    ----------
    parts : sequence of NDArray
        Indices of each device's samples.
    share : float
        What is taken, in [0, 1): of n samples ``int(share * n)``, so that every device keeps one.
    seed : int
        Fixes the draw.

    Returns
    -------
    tuple
        The indices that each device keeps, and those that were taken from all, ascending both.
    """
    kept, taken = [], []
    for device, own in enumerate(parts):
        order = generator(seed, Stream.VALIDATION, device).permutation(len(own))
        count = int(share * len(own))
        taken.append(own[order[:count]])
        kept.append(np.sort(own[order[count:]]))
    return tuple(kept), np.sort(np.concatenate(taken))
