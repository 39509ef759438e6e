"""Training of perceptrons (linear layers with ReLU between them) by batched products alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from ..inputs import Inputs
from ..learner import Learner, Pass, Tensors, descend
from ..options import TrainOptions
from ..products import linear
from ..samples import Batch, Batches
from .gram import Grams
from .inputs import VaryingInputs, alike
from .layers import DualLayer, Layer, PlainLayer

Affine = tuple[Tensor, Tensor | None]
"""A layer's weight and bias."""

_DUAL_UP_TO = 2.0
"""Samples of a round for each feature of a sample, up to which `DualLayer` is quicker."""


class PerceptronLearner(Learner):
    """Backpropagation written out: each layer's products of all devices in one call.

    Raises
    ------
    ValueError
        The module is no such perceptron; ask `fits` first.
    """

    path = "perceptron"

    def __init__(
        self, template: nn.Module, options: TrainOptions, grams: Grams | None = None
    ) -> None:
        super().__init__(template, options)
        self._grams = grams
        if not self.fits(template):
            raise ValueError("not a Sequential of Flatten, Linear and ReLU layers")
        self._names = [
            (f"{name}.weight", f"{name}.bias" if layer.bias is not None else "")
            for name, layer in template.named_children()
            if isinstance(layer, nn.Linear)
        ]

    @staticmethod
    def fits(module: nn.Module) -> bool:
        """Tell whether a module is [Flatten,] Linear, ReLU, Linear, ..., Linear, all trained."""
        if type(module) is not nn.Sequential or not len(module):
            return False
        layers = list(module)
        if type(layers[0]) is nn.Flatten and (layers[0].start_dim, layers[0].end_dim) == (1, -1):
            layers = layers[1:]
        wanted = [nn.Linear if place % 2 == 0 else nn.ReLU for place in range(len(layers))]
        trained = all(p.requires_grad and p.dtype == torch.float32 for p in module.parameters())
        places = [weight for layer in layers for weight in layer.parameters()]
        apart = len({id(weight) for weight in places}) == len(places)
        right = len(layers) % 2 == 1 and [type(layer) for layer in layers] == wanted
        return trained and apart and right

    @torch.inference_mode()  # quicker calls than no_grad
    def train(self, model: Tensors, batches: Batches, pull: Tensors) -> None:
        """Train the devices of a chunk for a round, in place."""
        layers = [
            self._layer(place, model[weight], batches, pull.get(weight))
            for place, (weight, _) in enumerate(self._names)
        ]
        biases = {bias: torch.zeros_like(model[bias]) for _, bias in self._names if bias}
        for step in range(len(batches)):
            self._step(step, batches.step(step), layers, model, biases, pull)
        for layer in layers:
            layer.finish()

    def order(self, x: Tensor) -> Tensor:
        """Return an order of test samples in which few inputs vary in a batch."""
        return alike(x.flatten(1))

    def inputs(self, x: Tensor, precision: torch.dtype = torch.float32) -> VaryingInputs:
        """Make inputs ready for the `passes` of many models."""
        return VaryingInputs.of(x.flatten(1), precision)

    def passes(self, model: Tensors, inputs: Inputs) -> Iterator[Pass]:
        """Yield the devices' outputs batch by batch; the first layer is one product for all."""
        weight, bias = self._names[0]
        devices = len(model[weight])
        first = model[weight].flatten(0, 1), model[bias].flatten() if bias else None
        above = [self._above(model, d, inputs.precision) for d in range(devices)]
        ready = cast("VaryingInputs", inputs)
        layers = zip(ready.batches, ready.layers(*first), strict=True)
        for number, (x, narrow) in enumerate(layers):
            hidden = linear(x, *narrow, relu=len(self._names) > 1)
            each = hidden.view(len(x), devices, -1).unbind(1)
            ends = [_pass_on(some, rest) for some, rest in zip(each, above, strict=True)]
            yield slice(devices), number, torch.stack(ends)

    def _above(self, model: Tensors, device: int, precision: torch.dtype) -> list[Affine]:
        """Return a device's layers above the first, in a precision."""
        layers = [(model[w][device], model[b][device] if b else None) for w, b in self._names[1:]]
        return [(w.to(precision), None if b is None else b.to(precision)) for w, b in layers]

    def _layer(self, place: int, weight: Tensor, batches: Batches, pull: Tensor | None) -> Layer:
        samples = len(batches) * batches.width
        if place == 0 and samples <= _DUAL_UP_TO * weight.shape[2]:
            if self._grams is None:
                self._grams = Grams(batches.samples)
            return DualLayer(weight, batches, self.options, pull, self.space, self._grams)
        velocity = self.space.zeros(f"velocity {place}", tuple(weight.shape), weight)
        return PlainLayer(weight, self.options, pull, velocity)

    def _step(
        self,
        step: int,
        batch: Batch,
        layers: list[Layer],
        model: Tensors,
        velocities: Tensors,
        pull: Tensors,
    ) -> None:
        """Make a step with the devices that still have one to make."""
        active = batch.active
        hidden: list[Tensor | None] = [None]
        for layer, (_, bias) in zip(layers, self._names, strict=True):
            outputs = layer.forward(step, batch, hidden[-1])
            if bias:
                outputs += model[bias][:active, None]
            hidden.append(outputs.relu_() if layer is not layers[-1] else outputs)
        delta = _softmax_delta(outputs, batch)
        for place in reversed(range(len(layers))):
            weight, bias = self._names[place]
            inputs = hidden[place]
            below = None if inputs is None else torch.bmm(delta, model[weight][:active])
            layers[place].learn(step, batch, inputs, delta)
            if bias:
                velocities[bias][:active].mul_(self.options.momentum).add_(delta.sum(1))
                rate = self.options.learning_rate
                descend(model[bias], velocities[bias], active, rate, pull.get(bias))
            if below is not None and inputs is not None:
                delta = torch.ops.aten.threshold_backward(below, inputs, 0)  # in one pass


def _pass_on(hidden: Tensor, layers: list[Affine]) -> Tensor:
    """Return what layers make of what comes from the first; the last one has no ReLU."""
    for place, layer in enumerate(layers, start=1):
        hidden = linear(hidden, *layer, relu=place < len(layers))
    return hidden


def _softmax_delta(logits: Tensor, batch: Batch) -> Tensor:
    """Return the gradient of each device's mean cross-entropy by its logits."""
    delta = logits.softmax(-1)
    ones = delta.new_full((1, 1, 1), -1.0).expand(*batch.y.shape, 1)
    delta.scatter_add_(2, batch.y[..., None], ones)
    return delta.mul_(batch.share[..., None])
