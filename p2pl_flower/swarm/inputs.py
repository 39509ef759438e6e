"""Test samples, made ready once for the models of all devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BATCH = 1000
"""Samples in one pass: enough for large products, few enough for the cache."""

IMAGES = 64
"""The same for images and sequences, which have many activations each."""


@dataclass(frozen=True)
class Inputs:
    """Inputs in batches.

    Attributes
    ----------
    batches : Sequence[Tensor], each of shape (N, ...)
        The inputs.
    precision : torch.dtype
        What products are to be computed in.
    """

    batches: Sequence[Tensor]
    precision: torch.dtype

    @classmethod
    def of(cls, x: Tensor, precision: torch.dtype, batch: int | None = None) -> Inputs:
        """Split inputs into batches, shape (N, ...)."""
        return cls(torch.split(x, BATCH if batch is None else batch), precision)

    @property
    def sizes(self) -> list[int]:
        """Samples of each batch."""
        return [len(batch) for batch in self.batches]
