"""Steps of training compiled by ``torch.compile``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

import numpy as np
from torch import Tensor

from ..errors import ConfigError
from .learner import Learner
from .mapping import Learners
from .nested import each
from .options import TrainOptions
from .perceptron.learner import PerceptronLearner
from .samples import Batches, Samples
from .workers import Workers

log = logging.getLogger("p2pl.swarm")


def compiling(learners: Learners, sizes: Collection[int]) -> Callable[[], Learner]:
    """Return what makes learners whose steps are compiled, for chunks of some sizes.

    Parameters
    ----------
    learners : Learners
        What makes them otherwise.
    sizes : collection of int
        Devices of the chunks; other chunks are trained by the same step uncompiled.

    Raises
    ------
    ConfigError
        The way to train has no step that can be compiled to the same numbers.
    """
    if learners.path == PerceptronLearner.path:
        rule = "the perceptron's path has no step to compile; leave it out, or give "
        raise ConfigError("compile", True, rule + "path='torch.func'")
    if learners.draws:
        rule = "training draws random numbers (dropout, say), and compiled steps draw others; "
        raise ConfigError("compile", True, rule + "leave it out")

    def make() -> Learner:
        learner = learners.make()
        learner.compiled = frozenset(sizes)
        return learner

    return make


def compile_steps(
    workers: Workers[Learner],
    samples: Samples,
    options: TrainOptions,
    sizes: Collection[int],
) -> float:
    """Compile all steps, by making one of each on trial; return the seconds that it took.

    Raises
    ------
    ConfigError
        They cannot be compiled: there is no C++ compiler, say.
    """
    started, size = time.perf_counter(), options.batch_size
    if int(samples.counts.max()) < size:
        rule = f"only full mini-batches are compiled, and no device has {size} samples; take a "
        raise ConfigError("compile", True, rule + "smaller batch_size")
    large = int(samples.starts[samples.counts.argmax()])
    few = each(lambda part: part[large : large + size], (samples.x, samples.y))

    def step(learner: Learner, devices: int) -> None:
        own = Samples([few] * devices, str(samples.y.device))
        trial = TrainOptions(batch_size=size, transform=options.transform)
        learner.options = options.in_round(1)
        kept, learner.states = learner.states, None
        learner.train(_copies(learner, devices), Batches(own, np.arange(devices), trial, 0, 1), {})
        learner.states = kept

    try:
        for devices in sizes:
            workers.map(step, [devices] * workers.count)
    except ConfigError:
        raise
    except Exception as error:
        message = " ".join(str(error).split())[:200]
        rule = f"torch.compile fails, which on a CPU needs a C++ compiler ({message}); leave it out"
        raise ConfigError("compile", True, rule) from error
    seconds = time.perf_counter() - started
    log.info("compiled the step of training in %.1f s", seconds)
    return seconds


def _copies(learner: Learner, devices: int) -> dict[str, Tensor]:
    """Return the models of some devices that all are the learner's module."""
    frozen = {n for n, p in learner.template.named_parameters() if not p.requires_grad}
    state = learner.template.state_dict().items()
    alike = {name: tensor.detach().expand(devices, *tensor.shape) for name, tensor in state}
    return {name: t if name in frozen else t.clone() for name, t in alike.items()}
