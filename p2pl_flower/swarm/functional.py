"""Training of any module that torch.func can map over devices."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from .inputs import Inputs
from .learner import Learner, Tensors, descend
from .options import TrainOptions
from .samples import Batches


class FunctionalLearner(Learner):
    """Maps the gradient of one device's loss over the devices, as ``torch.func`` does it."""

    def __init__(self, template: nn.Module, options: TrainOptions) -> None:
        super().__init__(template, options)
        self._trained = [n for n, p in template.named_parameters() if p.requires_grad]
        # Dropout and its like draw anew for each device.
        self._gradients = vmap(grad(self._loss), randomness="different")

    def train(self, model: Tensors, batches: Batches, pull: Tensors) -> None:
        """Train the devices of a chunk for a round, in place."""
        self.template.train()
        velocity = {
            name: self.space.zeros(name, tuple(model[name].shape), model[name])
            for name in self._trained
        }
        for step in range(len(batches)):
            batch = batches.step(step)
            active = batch.active
            weights = {name: model[name][:active] for name in self._trained}
            rest = {n: t[:active] for n, t in model.items() if n not in weights}
            gradients = self._gradients(weights, rest, batch.x, batch.y, batch.share)
            for name, gradient in gradients.items():
                velocity[name][:active].mul_(self.options.momentum).add_(gradient)
                rate = self.options.learning_rate
                descend(model[name], velocity[name], active, rate, pull.get(name))

    def logits(self, model: Tensors, inputs: Inputs) -> Tensor:
        """Return the devices' outputs on all inputs."""
        self.template.eval()
        devices = len(next(iter(model.values())))
        each = [{name: tensor[d] for name, tensor in model.items()} for d in range(devices)]
        kind, half = inputs.batches[0].device.type, inputs.precision != torch.float32
        with torch.autocast(kind, inputs.precision, enabled=half):
            outputs = [
                torch.stack([functional_call(self.template, one, (x,)) for one in each])
                for x in inputs.batches
            ]
        return torch.cat(outputs, 1)

    def _loss(
        self,
        weights: dict[str, Tensor],
        rest: dict[str, Tensor],
        x: Tensor,
        y: Tensor,
        share: Tensor,
    ) -> Tensor:
        outputs = functional_call(self.template, {**weights, **rest}, (x,))
        return (cross_entropy(outputs, y, reduction="none") * share).sum()
