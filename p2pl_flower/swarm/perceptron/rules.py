"""How the gradients of a chunk of perceptrons change them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..learner import descend
from ..options import TrainOptions
from ..samples import Batches
from ..states import OptimizerStates
from ..stepping import StackedOptimizer
from ..workspace import Workspace
from .gram import Grams
from .layers import DualLayer, GradientLayer, Layer, PlainLayer

Tensors = Mapping[str, Tensor]

DUAL_UP_TO = 2.0
"""Samples of a round for each feature of a sample, up to which `DualLayer` is quicker."""


class Rule(ABC):
    """What makes steps of a round of training."""

    @abstractmethod
    def layer(self, place: int, weight: str) -> Layer:
        """Return the layer with a weight, which comes at a place counted from 0."""

    @abstractmethod
    def bias(self, name: str, gradient: Tensor) -> None:
        """Take the gradient of a bias, shape (A, outputs)."""

    @abstractmethod
    def end_step(self) -> None:
        """Do what is left to do of a step."""

    @abstractmethod
    def finish(self) -> None:
        """End the round."""


class MomentumRule(Rule):
    """SGD with momentum, fused into the products that give the gradients."""

    def __init__(
        self,
        options: TrainOptions,
        model: Tensors,
        batches: Batches,
        pull: Tensors,
        space: Workspace,
        grams: Grams,
    ) -> None:
        self._options, self._model, self._batches = options, model, batches
        self._pull, self._space, self._grams = pull, space, grams
        self._velocities: dict[str, Tensor] = {}

    def layer(self, place: int, weight: str) -> Layer:
        """Return the first layer in its dual form where that is quicker."""
        own, pull, batches = self._model[weight], self._pull.get(weight), self._batches
        samples = len(batches) * batches.width
        if place == 0 and samples <= DUAL_UP_TO * own.shape[2]:
            return DualLayer(own, batches, self._options, pull, self._space, self._grams)
        velocity = self._space.zeros(f"velocity {place}", tuple(own.shape), own)
        return PlainLayer(own, self._options, pull, velocity)

    def bias(self, name: str, gradient: Tensor) -> None:
        """Make the step of a bias."""
        own, active = self._model[name], len(gradient)
        if name not in self._velocities:
            self._velocities[name] = torch.zeros_like(own)
        velocity = self._velocities[name]
        velocity[:active].mul_(self._options.momentum).add_(gradient)
        descend(own, velocity, active, self._options.learning_rate, self._pull.get(name))

    def end_step(self) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""


class OptimizerRule(Rule):
    """An optimizer of ``torch.optim`` that acts on each number for itself."""

    def __init__(
        self,
        options: TrainOptions,
        template: nn.Module,
        model: Tensors,
        batches: Batches,
        pull: Tensors,
        space: Workspace,
        states: OptimizerStates | None,
    ) -> None:
        self._model, self._pull, self._space = model, pull, space
        own = {name: p.detach() for name, p in template.named_parameters()}
        weights = {name: model[name] for name in own}
        self._optimizer = StackedOptimizer(options, own, weights, batches.devices, states)
        self._gradients: dict[str, Tensor] = {}

    def layer(self, place: int, weight: str) -> Layer:
        """Return a layer that notes its gradient."""
        own = self._model[weight]
        gradient = self._space.empty(f"gradient {place}", tuple(own.shape), own)
        return GradientLayer(weight, own, gradient, self._gradients)

    def bias(self, name: str, gradient: Tensor) -> None:
        """Note the gradient."""
        self._gradients[name] = gradient

    def end_step(self) -> None:
        """Let the optimizer make a step."""
        self._optimizer.step(self._gradients, self._pull)

    def finish(self) -> None:
        """Keep what the optimizer keeps."""
        self._optimizer.finish()
