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
        """Return whether ``i`` hears ``j``: where `symmetric`, the same as whether j hears i."""

    @property
    def symmetric(self) -> bool:
        """Whether each link is up both ways or not at all."""
        return True

    def tried(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return whether ``j`` sends ``i`` anything at all: what is not `up` then gets lost."""
        return everywhere(i, j, round_number, step)

    def present(self, i: ArrayLike, round_number: ArrayLike) -> Mask:
        """Return whether ``i`` takes part in a round at all; by default always."""
        return everywhere(i, round_number)


def everywhere(*arguments: ArrayLike) -> Mask:
    """Return True in the shape to which the arguments broadcast."""
    return np.ones(np.broadcast_shapes(*map(np.shape, arguments)), dtype=np.bool_)


def ends(
    i: ArrayLike, j: ArrayLike, one_way: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the smaller and the larger end of each link, which makes links symmetric.

    Where they are ``one_way``, the ends are returned as they are.
    """
    if one_way:
        return np.asarray(i, np.int64), np.asarray(j, np.int64)
    return np.minimum(i, j), np.maximum(i, j)


ONE_WAY = Option(
    "whether the two directions of a link are lost apart from each other; `one-way` in text",
    default=False,
    name="one_way",
    kind=bool,
)


SEED = Option(
    "seed of everything",
    Rule("from 0 to 2**64 - 1", lambda seed: 0 <= seed < 2**64),
    default=0,
    name="seed",
    kind=int,
)
