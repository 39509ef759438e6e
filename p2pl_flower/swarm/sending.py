"""What devices send of their messages through a codec, all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..algorithms.codecs import Coder, StepKey, digest
from .workers import Ids

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
        self._begun: Stacked = {}

    def begin(self, models: Mapping[str, Tensor]) -> None:
        """Note the models that devices begin with, where neighbors have these as copies."""
        if self._coder.memory.adds_up and not self._coder.is_exact:
            self._begun = {name: tensor.clone() for name, tensor in models.items()}

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
        kept = self.kept or self._coder.memory.start(message, self._begun)
        self._begun = {}
        public, after = self._coder.public(message, kept, key, shape)
        rows = torch.from_numpy(active)
        self.kept = {
            part: {name: _chosen(rows, t, kept[part][name]) for name, t in tensors.items()}
            for part, tensors in after.items()
        }
        return dict(public)


def digests(models: Mapping[str, Tensor], devices: int) -> Ids:
    """Return a number for each device's model, shape (K,): equal for equal models."""
    arrays = {name: t.detach().cpu().contiguous().view(devices, -1) for name, t in models.items()}
    rows = (
        {name: t[k].view(torch.uint8).numpy() for name, t in arrays.items()} for k in range(devices)
    )
    return np.array([digest(row) for row in rows], dtype=np.int64)


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
