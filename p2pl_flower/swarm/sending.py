"""What devices send of their messages through a codec, all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..algorithms.codecs import Coder, StepKey

Stacked = dict[str, Tensor]


class Sender:
    """Public messages, and what devices keep of them.

    Parameters
    ----------
    coder : Coder
        A codec and its memory.
    seed : int
        Seed of everything.
    devices : int
        K.

    Attributes
    ----------
    kept : dict[str, dict[str, Tensor]]
        What devices keep, each tensor of shape (K, ...).
    """

    def __init__(self, coder: Coder, seed: int, devices: int) -> None:
        self._coder, self._seed, self._devices = coder, seed, devices
        self.kept: dict[str, Stacked] = {}

    def public(
        self, message: Stacked, active: NDArray[np.bool_], moment: tuple[int, int]
    ) -> Stacked:
        """Return what neighbors make of messages; devices that are away keep what they had.

        Parameters
        ----------
        message : dict[str, Tensor]
            Each of shape (K, ...).
        active : NDArray[bool], shape (K,)
            Which devices send.
        moment : tuple[int, int]
            The round, and the consensus steps made in it.
        """
        shape, key = (self._devices,), StepKey(self._seed, *moment)
        kept = self.kept or self._coder.memory.start(message, shape)
        public, after = self._coder.public(message, kept, key, shape)
        rows = torch.from_numpy(active)
        self.kept = {
            part: {name: _chosen(rows, t, kept[part][name]) for name, t in tensors.items()}
            for part, tensors in after.items()
        }
        return dict(public)


def _chosen(rows: Tensor, new: Tensor, old: Any) -> Tensor:
    """Return the new numbers of some devices, the old ones of the others."""
    if bool(rows.all()):
        return new
    flags = rows.to(new.device).reshape(-1, *[1] * (new.dim() - 1))
    return torch.where(flags, new, old)


def state_of(kept: Mapping[str, Stacked]) -> Stacked:
    """Return what devices keep as one level of names."""
    return {f"{part}/{name}": t for part, tensors in kept.items() for name, t in tensors.items()}


def state_from(tensors: Mapping[str, Tensor]) -> dict[str, Stacked]:
    """Return what `state_of` has made one level of."""
    kept: dict[str, Stacked] = {}
    for key, tensor in tensors.items():
        part, _, name = key.partition("/")
        kept.setdefault(part, {})[name] = tensor
    return kept
