"""Training of any module that torch.func can map over devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from .inputs import Inputs
from .learner import Learner, Pass, Tensors
from .losses import loss_function
from .nested import Nested, arguments
from .options import PRECISIONS, TrainOptions
from .samples import Batches, Group
from .stack import is_held_once
from .stepping import StackedOptimizer


class FunctionalLearner(Learner):
    """Maps the gradient of one device's loss over the devices, as ``torch.func`` does it.

    Devices are mapped together where their batches have the same size, so that layers and
    losses see the batches that they would see alone.
    """

    path = "torch.func"
    unsaved: Sequence[str] = ()
    """Buffers that training changes and ``state_dict`` lacks: each device's own for a round."""

    def __init__(self, template: nn.Module, options: TrainOptions) -> None:
        super().__init__(template, options)
        trained = {n: p for n, p in template.named_parameters() if p.requires_grad}
        self.trained = list(trained)
        self._own = {name: parameter.detach() for name, parameter in trained.items()}
        self._loss = loss_function(options.loss)
        self._precision = PRECISIONS[options.train_precision]
        self._steps: dict[tuple[tuple[str, bool], ...], Callable[..., dict[str, Tensor]]] = {}

    def train(self, model: Tensors, batches: Batches, pull: Tensors) -> None:
        """Train the devices of a chunk for a round, in place."""
        self.template.train()
        weights = {name: model[name] for name in self.trained}
        optimizer = StackedOptimizer(self.options, self._own, weights, batches.devices, self.states)
        rest = {name: tensor for name, tensor in model.items() if name not in weights}
        rest |= self._unsaved(len(batches.devices))
        for step in range(len(batches)):
            batch = batches.step(step)
            found = [self._of_group(weights, rest, group) for group in batch.groups()]
            optimizer.step(_together(found, batch.active), pull)
        optimizer.finish()

    def passes(self, model: Tensors, inputs: Inputs) -> Iterator[Pass]:
        """Yield the devices' outputs batch by batch."""
        self.template.eval()
        devices = len(next(iter(model.values())))
        each = [{name: tensor[d] for name, tensor in model.items()} for d in range(devices)]
        kind, half = inputs.kind, inputs.precision != torch.float32
        for number, x in enumerate(inputs.batches):
            with torch.autocast(kind, inputs.precision, enabled=half):
                outputs = [self._outputs(one, x) for one in each]
            yield slice(devices), number, outputs

    def mapped(self, held: Mapping[str, bool]) -> Callable[..., dict[str, Tensor]]:
        """Return the gradients of many devices as a function of weights, the rest, x and y.

        Parameters
        ----------
        held : Mapping[str, bool]
            For all but the weights, whether it is the same tensor for all devices, without an
            axis for them: it is not mapped then, so that its products stay large ones.
        """
        axes = {name: None if once else 0 for name, once in held.items()}
        # Dropout and its like draw anew for each device.
        return vmap(grad(self._loss_of), in_dims=(0, axes, 0, 0), randomness="different")

    def _compiled_or_not(
        self, held: Mapping[str, bool], compiled: bool
    ) -> Callable[..., dict[str, Tensor]]:
        """Return `mapped`, compiled once for each way in which the rest is held."""
        if not compiled:
            return self.mapped(held)
        key = tuple(held.items())
        if key not in self._steps:
            self._steps[key] = torch.compile(self.mapped(held), dynamic=False)
        return self._steps[key]

    def _of_group(
        self, weights: Tensors, rest: Tensors, group: Group
    ) -> tuple[slice | Tensor, Tensors]:
        """Return the gradients of a group; what its forward pass changes in buffers is kept."""
        own = {name: tensor[group.rows] for name, tensor in weights.items()}
        buffers = {
            name: tensor if is_held_once(tensor) else tensor[group.rows]
            for name, tensor in rest.items()
        }
        held = {name for name, tensor in rest.items() if is_held_once(tensor)}
        given = {name: rest[name][0] if name in held else t for name, t in buffers.items()}
        whole = len(group.y) in self.compiled and group.y.shape[1] == self.options.batch_size
        mapped = self._compiled_or_not({name: name in held for name in rest}, whole)
        gradients = mapped(own, given, group.x, group.y)
        if not isinstance(group.rows, slice):  # these are copies then
            for name in rest.keys() - held:
                rest[name][group.rows] = buffers[name]
        return group.rows, gradients

    def _unsaved(self, devices: int) -> dict[str, Tensor]:
        """Return what the buffers begin a round with, shape (C, ...)."""
        own = {name: self.template.get_buffer(name) for name in self.unsaved}
        return {name: tensor.expand(devices, *tensor.shape).clone() for name, tensor in own.items()}

    def _outputs(self, model: dict[str, Tensor], x: Nested) -> Nested:
        return functional_call(self.template, model, *arguments(self.template, x))

    def _loss_of(
        self, weights: dict[str, Tensor], rest: dict[str, Tensor], x: Nested, y: Tensor
    ) -> Tensor:
        half = self._precision != torch.float32
        with torch.autocast(y.device.type, self._precision, enabled=half, cache_enabled=False):
            return self._loss(self._outputs({**weights, **rest}, x), y)


def _together(found: list[tuple[slice | Tensor, Tensors]], active: int) -> Tensors:
    """Return the gradients of all groups, each of shape (A, ...)."""
    if len(found) == 1:
        return found[0][1]
    whole = {n: g.new_empty((active, *g.shape[1:])) for n, g in found[0][1].items()}
    for rows, gradients in found:
        for name, gradient in gradients.items():
            whole[name][rows] = gradient
    return whole
