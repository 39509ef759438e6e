"""A step on trial, which shows what a module does and whether ``torch.func`` maps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..errors import ConfigError
from ..sharing import EVERYTHING, Sharing
from .augmentation import Augmentation
from .copies import copy_of
from .footprint import state_bytes
from .functional import FunctionalLearner
from .learner import Tensors
from .naming import naming_submodules
from .nested import each
from .one_by_one import OneByOneLearner
from .optimizers import acts_elementwise
from .options import TrainOptions
from .samples import Batches, Samples
from .stack import Stack
from .states import OptimizerStates


def try_mapped(template: nn.Module, options: TrainOptions, samples: Samples, seen: Seen) -> bool:
    """Let two devices make a mapped step; return whether PyTorch's generator is drawn from.

    Raises
    ------
    ConfigError
        The module cannot be mapped, or changes other buffers than it does alone.
    """
    learner = FunctionalLearner(copy_of(template), options)
    tensors, draws = _step(learner, template, options, samples, seen.unsaved)
    missed = sorted({*seen.changed, *seen.unsaved} - _changed(tensors, template))
    if missed:
        rule = f"its forward binds the buffer {missed[0]!r} anew, which a mapped call does not "
        rule += "see: change it in place, by copy_() or add_()"
        raise ConfigError("model", type(template).__name__, rule)
    return draws


def _step(
    learner: FunctionalLearner | OneByOneLearner,
    template: nn.Module,
    options: TrainOptions,
    samples: Samples,
    unsaved: Sequence[str] = (),
) -> tuple[Tensors, bool]:
    """Return two devices that made a step, and whether PyTorch's generator was drawn from."""
    own = {name: template.get_buffer(name) for name in unsaved}
    beside = {name: torch.stack([buffer, buffer]) for name, buffer in own.items()}
    tensors = {**two_of(template, str(samples.y.device)).tensors, **beside}
    mapped = isinstance(learner, FunctionalLearner)
    with torch.random.fork_rng(devices=[] if samples.y.is_cpu else None):
        state = _random_state(samples)
        with naming_submodules(learner.template, type(template).__name__, mapped):
            learner.train(tensors, _trial_batches(options, samples), {})
        draws = not torch.equal(state, _random_state(samples))
    transform = options.transform
    return tensors, draws or (transform is not None and Augmentation(transform).draws_globally)


def _changed(tensors: Tensors, template: nn.Module) -> set[str]:
    """Return the names of the buffers that training has changed."""
    own = dict(template.named_buffers())
    return {n for n, t in tensors.items() if n in own and not torch.equal(t[-1], own[n])}


def two_of(template: nn.Module, torch_device: str) -> Stack:
    """Return the stack of two such modules, with what is frozen held once."""
    named = dict(template.named_parameters())
    trained = [name for name, parameter in named.items() if parameter.requires_grad]
    shared = EVERYTHING if len(trained) == len(named) else Sharing.of(trained)
    stack = Stack(template, 2, torch_device, shared)
    stack.put(slice(None), template.state_dict())
    return stack


def _trial_batches(options: TrainOptions, samples: Samples) -> Batches:
    """Return one step of two devices, on batches as small as the smallest that will occur."""
    size = min(options.batch_size, int(samples.counts.max()))
    sizes = [count % size or size for count in samples.counts.tolist()]
    least = min(sizes)
    few = [(each(lambda part: part[:least], samples.x), samples.y[:least])] * 2
    own = Samples(few, str(samples.y.device))
    trial = TrainOptions(batch_size=least, transform=options.transform)
    return Batches(own, np.arange(2), trial, 0, 1)


@dataclass(frozen=True)
class Seen:
    """What a step of two devices, one after the other, shows.

    Attributes
    ----------
    draws : bool
        Whether PyTorch's global generator is drawn from.
    unused : set[str]
        The trained parameters that no gradient reaches, which optimizers leave alone.
    changed : set[str]
        The buffers of the model that training changes.
    unsaved : tuple[str, ...]
        Those that it changes and ``state_dict`` lacks.
    state : int
        Bytes that an optimizer keeps for a device.
    """

    draws: bool
    unused: set[str]
    changed: set[str]
    unsaved: tuple[str, ...]
    state: int


def after_a_step(template: nn.Module, options: TrainOptions, samples: Samples) -> Seen:
    """Return what a step of two devices shows."""
    learner = OneByOneLearner(copy_of(template), options)
    prototype = options.make_optimizer([p for p in template.parameters() if p.requires_grad])
    learner.states = OptimizerStates(2) if acts_elementwise(prototype) else None
    tensors, draws = _step(learner, template, options, samples)
    named = learner.template.named_parameters()
    unused = {name for name, p in named if p.requires_grad and p.grad is None}
    before = dict(template.named_buffers())
    after = learner.template.named_buffers()
    rest = before.keys() - template.state_dict().keys()
    unsaved = tuple(n for n, b in after if n in rest and not torch.equal(b, before[n]))
    state = 0 if learner.states is None else state_bytes(learner.states)
    return Seen(draws, unused, _changed(tensors, template), unsaved, state)


def _random_state(samples: Samples) -> torch.Tensor:
    if samples.y.is_cpu:
        return torch.get_rng_state()
    return torch.cuda.get_rng_state(samples.y.device)
