"""Which modules the swarm can train, and what to say of those that it cannot."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ..errors import ConfigError
from .functional import FunctionalLearner
from .learner import Learner
from .options import TrainOptions
from .perceptron.learner import PerceptronLearner
from .samples import Batches, Samples
from .stack import Stack

_INSTEAD = "use nn.GroupNorm or nn.LayerNorm instead, which normalize each sample for itself"


@dataclass(frozen=True)
class Learners:
    """What makes a learner for each worker thread.

    Attributes
    ----------
    make : Callable[[], Learner]
        Makes one, with a copy of the module.
    draws : bool
        Whether the module has layers that draw at random. Its chunks cannot be trained
        side by side then: threads share one random generator.
    """

    make: Callable[[], Learner]
    draws: bool


def learner_for(template: nn.Module, options: TrainOptions, samples: Samples) -> Learners:
    """Return what makes a learner for modules of the template's class.

    Two devices make a step on trial, where it is not a perceptron.

    Parameters
    ----------
    template : nn.Module
        A module of the devices' class, on the device where they will train.
    options : TrainOptions
        Options of local training.
    samples : Samples
        All devices' samples, of which a few serve for the trial.

    Raises
    ------
    ConfigError
        ``torch.func`` cannot map the module; names the submodule and says what to use.
    """
    _refuse_statistics(template)
    if PerceptronLearner.fits(template):
        return Learners(lambda: PerceptronLearner(copy.deepcopy(template), options), False)
    draws = _try(template, options, samples)

    def make() -> Learner:
        learner = FunctionalLearner(copy.deepcopy(template), options)
        learner.draws = draws
        return learner

    return Learners(make, draws)


def _refuse_statistics(template: nn.Module) -> None:
    for name, module in template.named_modules():
        over_batch = isinstance(module, nn.modules.batchnorm._BatchNorm)
        running = isinstance(module, _NormBase) and module.track_running_stats
        if over_batch or running:
            rule = f"submodule {name!r} ({type(module).__name__}) keeps running statistics or "
            rule += f"normalizes over the batch, which cannot be mapped over devices; {_INSTEAD}"
            raise ConfigError("model", type(template).__name__, rule)


def _try(template: nn.Module, options: TrainOptions, samples: Samples) -> bool:
    """Let two devices make a step; return whether the module draws random numbers."""
    device = str(samples.x.device)
    stack = Stack(template, 2, device)
    stack.put(slice(None), template.state_dict())
    before = {name: tensor.clone() for name, tensor in stack.tensors.items()}
    few = [(samples.x[:2], samples.y[:2])] * 2
    batches = Batches(Samples(few, device), np.arange(2), TrainOptions(batch_size=2), 0, 1)
    learner = FunctionalLearner(copy.deepcopy(template), options)
    with _naming_submodules(learner.template, type(template).__name__):
        with torch.random.fork_rng(devices=[] if samples.x.is_cpu else None):
            state = _random_state(samples)
            learner.train(stack.tensors, batches, {})
            draws = not torch.equal(state, _random_state(samples))
        learner.logits(stack.tensors, learner.inputs(samples.x[:2]))
    changed = [n for n in before if n not in stack.trained]
    changed = [n for n in changed if not torch.equal(before[n], stack.tensors[n])]
    if changed:
        owner = changed[0].rpartition(".")[0]
        where = f"submodule {owner!r}" if owner else "it"
        rule = f"{where} changes its buffer {changed[0]!r} in training, which cannot be mapped "
        rule += f"over devices; {_INSTEAD}, or the Flower engine"
        raise ConfigError("model", type(template).__name__, rule)
    return draws


def _random_state(samples: Samples) -> torch.Tensor:
    if samples.x.is_cpu:
        return torch.get_rng_state()
    return torch.cuda.get_rng_state(samples.x.device)


@contextmanager
def _naming_submodules(module: nn.Module, name: str) -> Iterator[None]:
    """Turn an error of PyTorch's into one that names the innermost submodule at work."""
    entered: list[str] = []
    hooks = []
    for path, part in module.named_modules():
        hooks.append(part.register_forward_pre_hook(_entering(entered, path)))
        hooks.append(part.register_forward_hook(_leaving(entered)))
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        raise ConfigError("model", name, _advice(module, entered, error)) from error
    finally:
        for hook in hooks:
            hook.remove()


def _entering(entered: list[str], path: str) -> Callable[..., None]:
    def hook(*_: Any) -> None:
        entered.append(path)

    return hook


def _leaving(entered: list[str]) -> Callable[..., None]:
    def hook(*_: Any) -> None:
        entered.pop()

    return hook


def _advice(module: nn.Module, entered: list[str], error: Exception) -> str:
    message = " ".join(str(error).split())[:200]
    if not entered:
        return f"its outputs must be logits of shape (batch, classes): {message}"
    path = entered[-1]
    kind = type(module.get_submodule(path)).__name__
    where = f"submodule {path!r} ({kind})" if path else f"forward of {kind}"
    if any(sign in message for sign in ("data-dependent", ".item()", "vmap: It looks like")):
        advice = "it lets values decide what is computed: use torch.where instead of if, and "
        advice += "tensor operations instead of .item()"
    elif "in-place" in message or "inplace" in message:
        advice = "it changes a tensor in place: use the operation that returns a new one"
    else:
        advice = "replace it by layers that torch.func can map, or use the Flower engine"
    return f"{where} cannot be mapped over devices; {advice} ({message})"
