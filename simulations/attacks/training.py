"""Attackers that send what they should, of what they should not have trained or drawn."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from p2pl_flower.config import take, within

from .base import Attack, Tensors


@dataclass(frozen=True)
class LabelFlip(Attack):
    """An attacker trains on wrong labels: class c is C - 1 - c, of C classes."""

    def labels(self, y: Tensor, classes: int) -> Tensor:
        """Return the labels, flipped."""
        return classes - 1 - y


@dataclass(frozen=True)
class LargeNorm(Attack):
    r"""An attacker claims the start: its initial model is c times as large as what it drew.

    Max norm synchronization takes the largest. In the rounds the attacker is honest.

    Parameters
    ----------
    scale : float
        c.
    """

    scale: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        take("scale", self.scale, float, within("(1, inf)"))

    def drawn(self, model: Tensors) -> Tensors:
        """Return the model, scaled; integers stay."""
        return {n: self.scale * t if t.is_floating_point() else t for n, t in model.items()}
