"""What training needs of memory, found out in a step on trial."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .copies import copy_of
from .losses import loss_function
from .nested import Nested, call, each, tensors
from .options import PRECISIONS, TrainOptions
from .samples import Samples
from .stack import Stack
from .states import OptimizerStates

MAPPED, ALONE = 3.0, 1.5
"""Times what is saved for the backward pass: with the gradients that it computes on its way, and
with the copies that mapped convolutions make (measured on the networks of the experiments)."""


@dataclass(frozen=True)
class Footprint:
    """Bytes that training needs beside the models.

    Attributes
    ----------
    each : int
        For each device that trains at the same time.
    beside : int
        The same, but not worked on in each step: it need not fit into the cache.
    worker : int
        For each worker thread.
    kept : int
        From round to round.
    """

    each: int
    beside: int = 0
    worker: int = 0
    kept: int = 0

    def training(self, devices: int, workers: int) -> int:
        """Return the bytes for so many devices at the same time, and so many threads."""
        return devices * (self.each + self.beside) + workers * self.worker


def activation_bytes(
    template: nn.Module, options: TrainOptions, samples: Samples, times: float
) -> int:
    """Return the bytes that a device's step needs beside parameters and their gradients.

    They are those that the backward pass of a full mini-batch finds saved, times what the way to
    train makes of it (`MAPPED` or `ALONE`), and those of the batch itself.
    """
    module, size = copy_of(template).train(), min(options.batch_size, int(samples.counts.max()))
    x, y = each(lambda part: part[:size].clone(), samples.x), samples.y[:size]
    own = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    precision = PRECISIONS[options.train_precision]
    half = precision != torch.float32
    with (
        torch.random.fork_rng(devices=[] if y.is_cpu else None),
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        torch.autocast(y.device.type, precision, enabled=half),
    ):
        loss_function(options.loss)(call(module, x), y)
    return int(times * sum(saved.values())) + sum(part.nbytes for part in tensors(x))


def output_bytes(module: nn.Module, x: Nested) -> int:
    """Return the bytes of the largest output that a layer makes of a sample, as in evaluation."""
    largest = [sum(part[:1].nbytes for part in tensors(x))]

    def note(_: nn.Module, given: object, outputs: object) -> None:
        largest.append(sum(part[:1].nbytes for part in tensors(outputs)))

    hooks = [part.register_forward_hook(note) for part in module.modules()]
    with torch.no_grad():
        call(module, each(lambda part: part[:1], x))
    for hook in hooks:
        hook.remove()
    return max(largest)


def parameter_bytes(template: nn.Module) -> int:
    """Return the bytes of the parameters that training changes."""
    return sum(p.nbytes for p in template.parameters() if p.requires_grad)


def state_bytes(states: OptimizerStates) -> int:
    """Return the bytes that an optimizer keeps for a device, as those of some devices show."""
    return sum(tensor.nbytes for tensor in states.tensors.values()) // len(states.known)


def model_bytes(template: nn.Module) -> int:
    """Return the bytes of a device's model, without what copies of it have in common."""
    one = Stack(template, 1, "meta")
    return sum(one.tensors[name].nbytes for name in one.changing)
