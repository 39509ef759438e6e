"""Test samples, made ready once for the models of all devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .nested import Nested, each, first

BATCH = 1000
"""Samples in one pass: enough for large products, few enough for the cache."""

IMAGES = 64
"""The same for images and sequences, which have many activations each."""


@dataclass(frozen=True)
class Inputs:
    """Inputs in batches.

    Attributes
    ----------
    batches : sequence of inputs, each of shape (N, ...)
        The inputs.
    precision : torch.dtype
        What products are to be computed in.
    """

    batches: Sequence[Nested]
    precision: torch.dtype

    @classmethod
    def of(cls, x: Nested, precision: torch.dtype, batch: int | None = None) -> Inputs:
        """Split inputs into batches, shape (N, ...)."""
        most, count = BATCH if batch is None else batch, len(first(x))
        parts = [slice(start, start + most) for start in range(0, count, most)]
        return cls([_part(x, part) for part in parts], precision)

    @property
    def sizes(self) -> list[int]:
        """Samples of each batch."""
        return [len(first(batch)) for batch in self.batches]

    @property
    def kind(self) -> str:
        """What PyTorch calls the kind of device that they lie on."""
        return first(self.batches[0]).device.type


def _part(x: Nested, part: slice) -> Nested:
    return each(lambda tensor: tensor[part], x)
