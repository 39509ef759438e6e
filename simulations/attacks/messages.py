"""Attackers that make something else of their own messages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from p2pl_flower.config import take, within

from .base import Attack, Tensors, Where


def _check(name: str, value: float) -> None:
    take(name, value, float, within("(0, inf)"))


@dataclass(frozen=True)
class SignFlip(Attack):
    r"""An attacker sends :math:`-c\, m` for its message m.

    Parameters
    ----------
    scale : float
        c.

    References
    ----------
    Z. Allen-Zhu et al., "Byzantine-resilient non-convex stochastic gradient descent", ICLR 2021:
    there of gradients.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("scale", self.scale)

    def message(self, own: Tensors, first: Tensors, where: Where) -> Tensors:
        """Return the message with its sign flipped, and scaled."""
        return {name: -self.scale * tensor for name, tensor in own.items()}


@dataclass(frozen=True)
class Scaling(Attack):
    r"""An attacker sends :math:`c\, m` for its message m.

    Parameters
    ----------
    scale : float
        c.
    """

    scale: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("scale", self.scale)

    def message(self, own: Tensors, first: Tensors, where: Where) -> Tensors:
        """Return the message, scaled."""
        return {name: self.scale * tensor for name, tensor in own.items()}


@dataclass(frozen=True)
class Noise(Attack):
    r"""An attacker adds :math:`N(0, \sigma^2)` to every number of its message, anew each time.

    Parameters
    ----------
    deviation : float
        :math:`\sigma`.
    """

    deviation: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("deviation", self.deviation)

    def message(self, own: Tensors, first: Tensors, where: Where) -> Tensors:
        """Return the message, with noise."""
        draw = where.generator()
        return {n: t + self.deviation * _normal(draw, t) for n, t in own.items()}


@dataclass(frozen=True)
class NotANumber(Attack):
    """An attacker sends nothing but NaNs."""

    def message(self, own: Tensors, first: Tensors, where: Where) -> Tensors:
        """Return NaNs."""
        return {name: torch.full_like(tensor, torch.nan) for name, tensor in own.items()}


@dataclass(frozen=True)
class Replay(Attack):
    """An attacker sends in every round what it sent in its first."""

    def message(self, own: Tensors, first: Tensors, where: Where) -> Tensors:
        """Return the first message."""
        return first


@dataclass(frozen=True)
class SameModel(Attack):
    r"""All attackers send the same wrong model in all rounds, drawn from :math:`N(0, \sigma^2)`.

    Parameters
    ----------
    deviation : float
        :math:`\sigma`.
    """

    deviation: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("deviation", self.deviation)

    def message(self, own: Tensors, first: Tensors, where: Where) -> Tensors:
        """Return the wrong model."""
        draw = Where(where.seed, 0, 0, 0).generator()
        return {n: self.deviation * _normal(draw, t) for n, t in own.items()}


def _normal(draw: np.random.Generator, like: Tensor) -> Tensor:
    """Return standard normal numbers in the shape and type of a tensor."""
    return torch.from_numpy(np.asarray(draw.normal(size=tuple(like.shape)))).to(like)
