"""Linear layers of a chunk of devices, with their part of SGD."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..options import TrainOptions
from ..products import linear
from ..samples import Batch, Batches
from ..workspace import Workspace
from .gram import Grams

_BLOCK = 8
"""Steps of the dual form between two large products."""


class Layer(ABC):
    """One linear layer of C devices while they train; a step is made by the first A of them."""

    @abstractmethod
    def forward(self, step: int, batch: Batch, hidden: Tensor | None) -> Tensor:
        """Return the outputs without bias, shape (A, B, outputs).

        ``hidden`` are the inputs, shape (A, B, inputs); None for the batch's own.
        """

    @abstractmethod
    def learn(self, step: int, batch: Batch, hidden: Tensor | None, delta: Tensor) -> None:
        """Make a step, ``delta`` being the loss's gradient by the outputs."""

    @abstractmethod
    def finish(self) -> None:
        """Bring the weights up to date after the last step."""


class PlainLayer(Layer):
    r"""A layer that is changed in every step.

    The momentum is folded into the product that gives the gradient,
    :math:`v \leftarrow \mu v + \delta^T h`, so that no gradient is ever stored.
    """

    def __init__(
        self, weight: Tensor, options: TrainOptions, pull: Tensor | None, velocity: Tensor
    ) -> None:
        self.weight, self._options, self._pull = weight, options, pull
        self._velocity = velocity

    def forward(self, step: int, batch: Batch, hidden: Tensor | None) -> Tensor:
        """Return the outputs without bias."""
        inputs = batch.x.flatten(2) if hidden is None else hidden
        return torch.bmm(inputs, self.weight[: batch.active].mT)

    def learn(self, step: int, batch: Batch, hidden: Tensor | None, delta: Tensor) -> None:
        """Make a step."""
        active, inputs = slice(batch.active), batch.x.flatten(2) if hidden is None else hidden
        velocity, weight = self._velocity[active], self.weight[active]
        torch.baddbmm(velocity, delta.mT, inputs, beta=self._options.momentum, out=velocity)
        weight.add_(velocity, alpha=-self._options.learning_rate)
        if self._pull is not None:
            weight.add_(self._pull[active])

    def finish(self) -> None:
        """Do nothing."""


class GradientLayer(Layer):
    """A layer that gives its gradient, for something else to make the step."""

    def __init__(
        self, name: str, weight: Tensor, gradient: Tensor, gradients: dict[str, Tensor]
    ) -> None:
        self._name, self._weight = name, weight
        self._gradient, self._gradients = gradient, gradients

    def forward(self, step: int, batch: Batch, hidden: Tensor | None) -> Tensor:
        """Return the outputs without bias."""
        inputs = batch.x.flatten(2) if hidden is None else hidden
        return torch.bmm(inputs, self._weight[: batch.active].mT)

    def learn(self, step: int, batch: Batch, hidden: Tensor | None, delta: Tensor) -> None:
        """Note the gradient."""
        inputs = batch.x.flatten(2) if hidden is None else hidden
        gradient = self._gradient[: batch.active]
        self._gradients[self._name] = torch.bmm(delta.mT, inputs, out=gradient)

    def finish(self) -> None:
        """Do nothing."""


class DualLayer(Layer):
    r"""The first layer, whose inputs are known before the round begins: it changes once.

    SGD with momentum makes the weights before step t, counted from 0, with the earlier
    steps' inputs :math:`X_r` and gradients by the outputs :math:`\Delta_r`,

    .. math:: W_t = W_0 - \eta \sum_{r < t} c_{t-1-r} \Delta_r^T X_r + t P,
              \qquad c_m = 1 + \mu + \dots + \mu^m,

    P being the pull of a step. The outputs of step t are then

    .. math:: X_t W_t^T = X_t W_0^T
              - \eta \sum_{r < t} c_{t-1-r} (X_t X_r^T) \Delta_r + t X_t P^T,

    so that all that touches the large W are two products over all of a device's samples, at
    the round's beginning and at its end. The inner products :math:`X X^T` are the same in all
    rounds. It pays while a device's samples are not many more than a sample's features.
    """

    def __init__(
        self,
        weight: Tensor,
        batches: Batches,
        options: TrainOptions,
        pull: Tensor | None,
        space: Workspace,
        grams: Grams,
    ) -> None:
        self._weight, self._options, self._pull = weight, options, pull
        self._batches, self._space, self._width = batches, space, batches.width
        shape = len(weight), len(batches) * self._width, weight.shape[1]
        self._gram = grams.of_steps(batches, space)
        self._deltas = space.zeros("deltas", shape, weight)
        self._start = space.empty("start", shape, weight)
        made = torch.arange(len(batches), device=weight.device).repeat_interleave(self._width)
        for k, start in enumerate(self._start):
            x, order = batches.inputs(k), batches.order[k]
            torch.index_select(linear(x, weight[k]), 0, order, out=start)
            if pull is not None:
                start += made[:, None] * linear(x, pull[k])[order]
        self._shares = self._momentum_shares(len(batches))

    def forward(self, step: int, batch: Batch, hidden: Tensor | None) -> Tensor:
        """Return the outputs without bias."""
        if step and step % _BLOCK == 0:
            self._settle(step, batch.active)
        active, rows = slice(batch.active), self._rows(step, batch)
        first, last = (step - step % _BLOCK) * self._width, step * self._width
        start = self._start[active, rows]
        if first == last:
            return start.clone()
        kernel = self._gram[active, rows, first:last] * self._shares[first - last :]
        deltas = self._deltas[active, first:last]
        return torch.baddbmm(start, kernel, deltas, alpha=-self._options.learning_rate)

    def learn(self, step: int, batch: Batch, hidden: Tensor | None, delta: Tensor) -> None:
        """Note a step."""
        self._deltas[: batch.active, self._rows(step, batch)] = delta

    def finish(self) -> None:
        """Bring the weights up to date after the last step."""
        for k, steps in enumerate(self._batches.steps.tolist()):
            past = steps * self._width
            deltas = self._deltas[k, :past].mul_(self._shares[-past:, None])
            x, order = self._batches.inputs(k), self._batches.order[k, :past]
            each = deltas.new_zeros(len(x), deltas.shape[1]).index_add_(0, order, deltas)
            self._weight[k].add_(linear(each.T, x.T), alpha=-self._options.learning_rate)
            if self._pull is not None:
                self._weight[k].add_(self._pull[k], alpha=steps)

    def _settle(self, step: int, active: int) -> None:
        """Bring what all earlier steps do to the next block's outputs into ``start``, at once.

        One large product is quicker than a small one in each step.
        """
        past = step * self._width
        steps = range(min(_BLOCK, len(self._batches) - step))
        total = len(self._shares)
        shares = [self._shares[total - past - i * self._width :][:past] for i in steps]
        each = torch.stack(shares).repeat_interleave(self._width, 0)
        rows = slice(past, past + len(each))
        for k in range(active):
            kernel = self._gram[k, rows, :past] * each
            outputs = linear(kernel, self._deltas[k, :past].T)
            self._start[k, rows].add_(outputs, alpha=-self._options.learning_rate)

    def _rows(self, step: int, batch: Batch) -> slice:
        return slice(step * self._width, step * self._width + batch.y.shape[1])

    def _momentum_shares(self, steps: int) -> Tensor:
        """Return c_{steps-1}, ..., c_0, each as often as a batch has samples."""
        powers = self._options.momentum ** torch.arange(steps, dtype=torch.float64)
        shares = powers.cumsum(0).flip(0).repeat_interleave(self._width)
        return shares.to(self._weight)
