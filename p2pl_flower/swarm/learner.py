"""How a chunk of devices trains: one batched step after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .inputs import Inputs
from .options import TrainOptions
from .samples import Batches
from .workspace import Workspace

Tensors = Mapping[str, Tensor]


class Learner(ABC):
    r"""Local training of the devices of a chunk, and evaluation.

    One of the H steps of a round on a device, with learning rate :math:`\eta`, momentum
    :math:`\mu` and correction :math:`D`:

    .. math:: v \leftarrow \mu v + \nabla f(w), \qquad
              w \leftarrow w - \eta v + D / H

    where f is the mean cross-entropy of the step's own samples.

    Parameters
    ----------
    template : nn.Module
        A module of the devices' class; each worker thread needs a learner with its own.
    options : TrainOptions
        Epochs, batch size, learning rate and momentum.
    """

    draws = False
    """Whether the module has layers that draw at random."""

    def __init__(self, template: nn.Module, options: TrainOptions) -> None:
        self.template, self.options, self.space = template, options, Workspace()

    @abstractmethod
    def train(self, model: Tensors, batches: Batches, pull: Tensors) -> None:
        """Train the devices of a chunk for a round, in place.

        Parameters
        ----------
        model : Mapping[str, Tensor]
            Their parameters and buffers, each of shape (C, ...).
        batches : Batches
            Their mini-batches.
        pull : Mapping[str, Tensor]
            What each step adds to a parameter, shape (C, ...); empty for nothing.
        """

    def order(self, x: Tensor) -> Tensor:
        """Return an order of test samples that `logits` are quick in, as indices."""
        return torch.arange(len(x), device=x.device)

    def inputs(self, x: Tensor, precision: torch.dtype = torch.float32) -> Inputs:
        """Make inputs ready for the `logits` of many models."""
        return Inputs.of(x, precision)

    @abstractmethod
    def logits(self, model: Tensors, inputs: Inputs) -> Tensor:
        """Return the devices' outputs on all inputs, with layers as in evaluation.

        Parameters
        ----------
        model : Mapping[str, Tensor]
            The parameters and buffers of C devices, each of shape (C, ...).
        inputs : Inputs
            What `inputs` has made.

        Returns
        -------
        Tensor, shape (C, N, classes)
            In the precision asked for.
        """


@torch.no_grad()
def descend(
    weight: Tensor, velocity: Tensor, active: int, rate: float, pull: Tensor | None
) -> None:
    r"""Make :math:`w \leftarrow w - \eta v + D / H` for the first ``active`` devices."""
    weight[:active].add_(velocity[:active], alpha=-rate)
    if pull is not None:
        weight[:active].add_(pull[:active])
