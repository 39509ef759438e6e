"""Memory that is used again and again: fresh memory costs more than what is done in it."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Workspace:
    """Named scratch tensors of one worker.

    A tensor holds what it did until its name is asked for again; a larger one takes new
    memory, a smaller one the same.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def empty(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return a tensor of any content, of ``like``'s dtype and device."""
        size = math.prod(shape)
        kept = self._buffers.get(name)
        if (
            kept is None
            or len(kept) < size
            or (kept.dtype, kept.device) != (like.dtype, like.device)
        ):
            kept = torch.empty(size, dtype=like.dtype, device=like.device)
            self._buffers[name] = kept
        return kept[:size].view(shape)

    def zeros(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return a tensor of zeros."""
        return self.empty(name, shape, like).zero_()
