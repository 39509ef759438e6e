"""Numbers for each device that are a pure function of the seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...seeding import Stream, uniform


def lognormal(
    seed: int, stream: Stream, devices: NDArray[np.int64], sigma: float
) -> NDArray[np.float64]:
    r"""Return :math:`e^{\sigma g_k}` with :math:`g_k` standard normal, shape (K,); median 1.

    The normal numbers are made of two uniform ones each (Box and Muller, Annals of Mathematical
    Statistics 29, 1958).
    """
    ids = np.asarray(devices, dtype=np.int64)
    radius = np.sqrt(-2 * np.log1p(-uniform(seed, stream, ids, 0)))
    angle = 2 * np.pi * uniform(seed, stream, ids, 1)
    return np.asarray(np.exp(sigma * radius * np.cos(angle)), dtype=np.float64)
