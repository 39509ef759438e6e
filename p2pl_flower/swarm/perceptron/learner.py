"""Training of perceptrons (linear layers with activations between them) by batched products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from ..footprint import Footprint, parameter_bytes
from ..inputs import Inputs
from ..learner import Learner, Pass, Tensors
from ..options import TrainOptions
from ..products import linear
from ..samples import Batch, Batches, Samples
from .activations import Activation, ReLU
from .gram import Grams
from .inputs import VaryingInputs, alike
from .layers import Layer
from .recognition import recognize
from .rules import DUAL_UP_TO, MomentumRule, OptimizerRule, Rule

Affine = tuple[Tensor, Tensor | None]
"""A layer's weight and bias."""

Activations = tuple[Activation, ...]


class PerceptronLearner(Learner):
    """Backpropagation written out: each layer's products of all devices in one call.

    Raises
    ------
    ValueError
        The module is no such perceptron; ask `fits` first.
    """

    path = "perceptron"
    together = 4  # all that are scored together

    def __init__(
        self, template: nn.Module, options: TrainOptions, grams: Grams | None = None
    ) -> None:
        super().__init__(template, options)
        found = recognize(template)
        if found is None:
            raise ValueError("no chain of linear layers, see `recognize`")
        self._grams, self._names, self._between = grams, found.names, found.between
        self.draws = any(activation.draws for part in found.between for activation in part)

    @staticmethod
    def fits(module: nn.Module, x: Tensor | None = None) -> bool:
        """Tell whether a module is a perceptron, for inputs such as ``x``."""
        found = recognize(module)
        return found is not None and (found.flattens or x is None or x.dim() == 2)

    @staticmethod
    def footprint(
        module: nn.Module, options: TrainOptions, samples: Samples, state: int = 0
    ) -> Footprint:
        """Return what training needs of memory, where an optimizer keeps ``state`` for a device."""
        parameters = parameter_bytes(module)
        if not options.is_momentum_sgd:
            stays = 0 if options.reset_optimizer else state * len(samples)
            return Footprint(2 * parameters + state, kept=stays)
        most, width = int(samples.counts.max()), options.batch_size
        places = options.local_epochs * -(-most // width) * min(width, most)
        first = next(p for p in module.parameters() if p.dim() == 2)
        if places > DUAL_UP_TO * first.shape[1]:
            return Footprint(2 * parameters)
        beside = places * (places + 3 * len(first)) * first.element_size()
        return Footprint(2 * parameters, beside=beside, kept=Grams.most(samples))

    def train(self, model: Tensors, batches: Batches, pull: Tensors) -> None:
        """Train the devices of a chunk for a round, in place."""
        fused = self.options.is_momentum_sgd
        # In inference mode calls are quicker; what optimizers keep must be ordinary tensors.
        with torch.inference_mode() if fused else torch.no_grad():
            rule = self._rule(model, batches, pull)
            layers = [rule.layer(place, weight) for place, (weight, _) in enumerate(self._names)]
            for step in range(len(batches)):
                self._step(step, batches.step(step), layers, model, rule)
            for layer in layers:
                layer.finish()
            rule.finish()

    def _rule(self, model: Tensors, batches: Batches, pull: Tensors) -> Rule:
        options, space = self.options, self.space
        if options.is_momentum_sgd:
            if self._grams is None:
                self._grams = Grams(batches.samples)
            return MomentumRule(options, model, batches, pull, space, self._grams)
        return OptimizerRule(options, self.template, model, batches, pull, space, self.states)

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
            hidden = _evaluated(x, narrow, self._after(0))
            each = hidden.view(len(x), devices, -1).unbind(1)
            ends = [self._pass_on(some, rest) for some, rest in zip(each, above, strict=True)]
            yield slice(devices), number, torch.stack(ends)

    def _after(self, place: int) -> Activations:
        """Return what comes after a layer: nothing after the last one."""
        return self._between[place] if place < len(self._between) else ()

    def _pass_on(self, hidden: Tensor, layers: list[Affine]) -> Tensor:
        """Return what layers make of what comes from the first."""
        for place, layer in enumerate(layers, start=1):
            hidden = _evaluated(hidden, layer, self._after(place))
        return hidden

    def _above(self, model: Tensors, device: int, precision: torch.dtype) -> list[Affine]:
        """Return a device's layers above the first, in a precision."""
        layers = [(model[w][device], model[b][device] if b else None) for w, b in self._names[1:]]
        return [(w.to(precision), None if b is None else b.to(precision)) for w, b in layers]

    def _step(
        self, step: int, batch: Batch, layers: list[Layer], model: Tensors, rule: Rule
    ) -> None:
        """Make a step with the devices that still have one to make."""
        active = batch.active
        hidden: list[Tensor | None] = [None]
        saved: list[list[Tensor]] = []
        for place, (layer, (_, bias)) in enumerate(zip(layers, self._names, strict=True)):
            outputs = layer.forward(step, batch, hidden[-1])
            if bias:
                outputs += model[bias][:active, None]
            saved.append([])
            for activation in self._after(place):
                outputs, kept = activation.train(outputs)
                saved[-1].append(kept)
            hidden.append(outputs)
        delta = _softmax_delta(outputs, batch)
        for place in reversed(range(len(layers))):
            weight, bias = self._names[place]
            inputs = hidden[place]
            below = None if inputs is None else torch.bmm(delta, model[weight][:active])
            layers[place].learn(step, batch, inputs, delta)
            if bias:
                rule.bias(bias, delta.sum(1))
            if below is not None:
                passed = zip(self._after(place - 1), saved[place - 1], strict=True)
                for activation, kept in reversed(list(passed)):
                    below = activation.backward(below, kept)
                delta = below
        rule.end_step()


def _evaluated(x: Tensor, layer: Affine, after: Activations) -> Tensor:
    """Return what a layer and what comes after it make of inputs, as in evaluation."""
    relu = len(after) > 0 and isinstance(after[0], ReLU)
    outputs = linear(x, *layer, relu=relu)
    for activation in after[1 if relu else 0 :]:
        outputs = activation.evaluate(outputs)
    return outputs


def _softmax_delta(logits: Tensor, batch: Batch) -> Tensor:
    """Return the gradient of each device's mean cross-entropy by its logits."""
    delta = logits.softmax(-1)
    ones = delta.new_full((1, 1, 1), -1.0).expand(*batch.y.shape, 1)
    delta.scatter_add_(2, batch.y[..., None], ones)
    return delta.mul_(batch.share[..., None])
