"""How a chunk of devices trains, and what its models make of test samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from .inputs import IMAGES, Inputs
from .nested import Nested, first, tensors
from .options import TrainOptions
from .samples import Batches
from .states import OptimizerStates
from .workspace import Workspace

Tensors = Mapping[str, Tensor]

Outputs = Tensor | Sequence[Nested]
"""Outputs of several devices: one tensor, or those of one after the other."""

Pass = tuple[slice, int, Outputs]
"""Which devices' outputs, on which batch, and the outputs."""


class Learner(ABC):
    r"""Local training of the devices of a chunk, and evaluation.

    In each of the H steps of a round, a device makes a step of its optimizer with the gradient of
    the loss of the step's own samples, and adds its share of the algorithm's correction D. With
    SGD, learning rate :math:`\eta` and momentum :math:`\mu`:

    .. math:: v \leftarrow \mu v + \nabla f(w), \qquad w \leftarrow w - \eta v + D / H

    There are three of them, which give the same numbers but for rounding and for the draws of
    random layers: one for perceptrons, one for what ``torch.func`` maps over devices, and one that
    trains a device after the other.

    Parameters
    ----------
    template : nn.Module
        A module of the devices' class; each worker thread needs a learner with its own.
    options : TrainOptions
        Options of local training.

    Attributes
    ----------
    draws : bool
        Whether PyTorch's global generator is drawn from.
    together : int
        Devices whose outputs of a layer are there at the same time in `passes`, at most.
    compiled : frozenset[int]
        Devices of the chunks whose steps on full mini-batches are compiled.
    states : OptimizerStates or None
        What the optimizers keep from round to round; None for nothing.
    """

    path: str
    """What the way is called in histories."""

    draws = False
    together = 1
    compiled: frozenset[int] = frozenset()
    states: OptimizerStates | None = None

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

    def order(self, x: Nested) -> Tensor:
        """Return an order of test samples that `passes` are quick in, as indices."""
        return torch.arange(len(first(x)), device=first(x).device)

    def inputs(self, x: Nested, precision: torch.dtype = torch.float32) -> Inputs:
        """Make inputs ready for the `passes` of many models."""
        large = any(tensor.dim() > 2 for tensor in tensors(x))
        return Inputs.of(x, precision, IMAGES if large else None)

    @abstractmethod
    def passes(self, model: Tensors, inputs: Inputs) -> Iterator[Pass]:
        """Yield the devices' outputs batch by batch, with layers as in evaluation.

        Parameters
        ----------
        model : Mapping[str, Tensor]
            The parameters and buffers of C devices, each of shape (C, ...).
        inputs : Inputs
            What `inputs` has made.

        Yields
        ------
        rows : slice
            Which of the devices.
        number : int
            Which batch of the inputs.
        outputs : Tensor, shape (rows, batch, ...), or sequence
            Those of each device, in the precision asked for.
        """

    def outputs(self, model: Tensors, inputs: Inputs) -> Tensor:
        """Return the devices' outputs on all inputs, shape (C, N, ...)."""
        count = len(next(iter(model.values())))
        found: list[list[Tensor]] = [[] for _ in range(count)]
        for rows, _, outputs in self.passes(model, inputs):
            for own, each in zip(found[rows], outputs, strict=True):
                own.append(each)
        return torch.stack([torch.cat(own) for own in found])


@torch.no_grad()
def descend(
    weight: Tensor, velocity: Tensor, active: int, rate: float, pull: Tensor | None
) -> None:
    r"""Make :math:`w \leftarrow w - \eta v + D / H` for the first ``active`` devices."""
    weight[:active].add_(velocity[:active], alpha=-rate)
    if pull is not None:
        weight[:active].add_(pull[:active])
