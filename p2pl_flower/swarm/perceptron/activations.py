"""What comes between a perceptron's layers, with its gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_ATEN: Any = torch.ops.aten


class Activation(ABC):
    """A function of each number for itself."""

    draws = False
    """Whether it draws at random in training."""

    @abstractmethod
    def train(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs and what `backward` needs; ``x`` may be overwritten."""

    @abstractmethod
    def backward(self, gradient: Tensor, saved: Tensor) -> Tensor:
        """Return the gradient by the inputs of that by the outputs."""

    def evaluate(self, x: Tensor) -> Tensor:
        """Return the outputs as in evaluation; ``x`` may be overwritten."""
        return self.train(x)[0]


class ReLU(Activation):
    """The positive part."""

    def train(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Overwrite the inputs."""
        outputs = x.relu_()
        return outputs, outputs

    def backward(self, gradient: Tensor, saved: Tensor) -> Tensor:
        """Go by the outputs."""
        done: Tensor = _ATEN.threshold_backward(gradient, saved, 0)  # in one pass
        return done


@dataclass(frozen=True)
class ByOutput(Activation):
    """One whose gradient follows from its outputs.

    Attributes
    ----------
    forward : Callable[[Tensor], Tensor]
        Overwrites its argument.
    gradient : Callable[[Tensor, Tensor], Tensor]
        Of the gradient by the outputs, and the outputs.
    """

    forward: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor]

    def train(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Overwrite the inputs."""
        outputs = self.forward(x)
        return outputs, outputs

    def backward(self, gradient: Tensor, saved: Tensor) -> Tensor:
        """Go by the outputs."""
        return self.gradient(gradient, saved)


@dataclass(frozen=True)
class ByInput(Activation):
    """One whose gradient follows from its inputs.

    Attributes
    ----------
    forward : Callable[[Tensor], Tensor]
        Leaves its argument.
    gradient : Callable[[Tensor, Tensor], Tensor]
        Of the gradient by the outputs, and the inputs.
    """

    forward: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor]

    def train(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the inputs."""
        return self.forward(x), x

    def backward(self, gradient: Tensor, saved: Tensor) -> Tensor:
        """Go by the inputs."""
        return self.gradient(gradient, saved)


@dataclass(frozen=True)
class Dropout(Activation):
    """Zeros with probability ``p``, and all else divided by 1 - p.

    Attributes
    ----------
    p : float
        In [0, 1).
    """

    p: float
    draws = True

    def train(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Draw from PyTorch's global generator."""
        mask = torch.empty_like(x).bernoulli_(1 - self.p).div_(1 - self.p)
        return x.mul_(mask), mask

    def backward(self, gradient: Tensor, saved: Tensor) -> Tensor:
        """Let pass what passed."""
        return gradient.mul_(saved)

    def evaluate(self, x: Tensor) -> Tensor:
        """Let everything pass."""
        return x


def tanh() -> Activation:
    """Return the hyperbolic tangent."""
    return ByOutput(torch.tanh_, _ATEN.tanh_backward)


def sigmoid() -> Activation:
    """Return the logistic function."""
    return ByOutput(torch.sigmoid_, _ATEN.sigmoid_backward)


def gelu(approximate: str = "none") -> Activation:
    """Return the Gaussian error linear unit."""
    return ByInput(
        lambda x: functional.gelu(x, approximate=approximate),
        lambda gradient, x: _ATEN.gelu_backward(gradient, x, approximate=approximate),
    )


def silu() -> Activation:
    """Return the sigmoid linear unit."""
    return ByInput(functional.silu, _ATEN.silu_backward)


def leaky_relu(negative_slope: float = 0.01) -> Activation:
    """Return the positive part, and ``negative_slope`` times the negative one."""
    return ByInput(
        lambda x: functional.leaky_relu(x, negative_slope),
        lambda gradient, x: _ATEN.leaky_relu_backward(gradient, x, negative_slope, False),
    )
