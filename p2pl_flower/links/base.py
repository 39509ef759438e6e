"""What links are: pure functions of devices, round and consensus step."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..config import Option, Rule

Mask = NDArray[np.bool_]


class Links(ABC):
    """Says which links are up, and which devices are there.

    All arguments are integers or arrays of them, and broadcast; results have the shape
    that comes of it, 0-d for numbers. Rounds and steps count from 0 here, so that
    messages before round 1 can be lost too.
    """

    @abstractmethod
    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether ``i`` and ``j`` hear each other; the same for ``j`` and ``i``."""

    def present(self, i: ArrayLike, round_number: ArrayLike) -> Mask:
        """Return whether ``i`` takes part in a round at all; by default always."""
        return everywhere(i, round_number)


def everywhere(*arguments: ArrayLike) -> Mask:
    """Return True in the shape to which the arguments broadcast."""
    return np.ones(np.broadcast_shapes(*map(np.shape, arguments)), dtype=np.bool_)


def ends(i: ArrayLike, j: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the smaller and the larger end of each link, which makes links symmetric."""
    return np.minimum(i, j), np.maximum(i, j)


SEED = Option(
    "seed of everything",
    Rule("from 0 to 2**64 - 1", lambda seed: 0 <= seed < 2**64),
    default=0,
    name="seed",
    kind=int,
)
