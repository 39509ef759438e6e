"""The bytes that devices send to each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..algorithms.codecs import Coder, StepKey, size_of
from ..named_arrays import Layout
from .mixing import Mixing
from .workers import Ids

HAVE = "copies that devices have"
"""Name of what a checkpoint holds."""


class Traffic:
    """Counts what goes over links, step by step.

    Parameters
    ----------
    coder : Coder
        What is sent of messages.
    seed : int
        Seed of everything.
    devices : int
        K.
    """

    def __init__(self, coder: Coder, seed: int, devices: int) -> None:
        self._coder, self._seed = coder, seed
        copies = coder.memory.adds_up and not coder.is_exact
        self._have = np.zeros((devices, devices), dtype=np.bool_) if copies else None

    @property
    def counts_copies(self) -> bool:
        """Whether it matters who has which copies."""
        return self._have is not None

    def begin(self, digests: Ids) -> None:
        """Note who begins with equal models, digests shape (K,): they have each other's copies."""
        self._have = digests[:, np.newaxis] == digests

    def of(self, mixing: Mixing, layout: Layout) -> Ids:
        """Return the bytes that each device sends in a step, shape (K,); each step counts once.

        Parameters
        ----------
        mixing : Mixing
            The step of all devices.
        layout : Layout
            Shapes and dtypes of a device's message.
        """
        if self._coder.is_exact:
            return mixing.sent * size_of(layout)
        key = StepKey(self._seed, *mixing.moment)
        sent = mixing.sent * self._coder.message_bytes(layout, key)
        if self._have is None:
            return sent
        return sent + _whole(mixing, self._have) * size_of(layout)

    def tensors(self) -> dict[str, Tensor]:
        """Return what is remembered, for a checkpoint."""
        return {} if self._have is None else {HAVE: torch.from_numpy(self._have)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` returned."""
        if self._have is not None and HAVE in tensors:
            self._have = np.array(tensors[HAVE].cpu().numpy(), dtype=np.bool_)


def _whole(mixing: Mixing, have: NDArray[np.bool_]) -> Ids:
    """Return how many whole copies each device sends: to those who missed its last message.

    Parameters
    ----------
    mixing : Mixing
        The step.
    have : NDArray[bool], shape (K, K)
        Which devices, by row, have the last messages of which, by column; brought up to date.
    """
    between = mixing.rows != mixing.columns
    rows, columns = mixing.rows[between], mixing.columns[between]
    lacking = ~have[rows, columns]
    have[:, mixing.active] = False  # theirs are others from now on
    have[rows, columns] = True
    return np.bincount(columns[lacking], minlength=len(have))
