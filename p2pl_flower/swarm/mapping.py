"""Which of the learners trains a module."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from .conversion import fit_inputs, fit_targets
from .copies import copy_of
from .footprint import (
    ALONE,
    MAPPED,
    Footprint,
    activation_bytes,
    model_bytes,
    parameter_bytes,
)
from .functional import FunctionalLearner
from .learner import Learner
from .losses import is_plain_cross_entropy
from .naming import refuse_lazy
from .one_by_one import OneByOneLearner, is_quicker_one_by_one
from .optimizers import acts_elementwise
from .options import TrainOptions
from .perceptron.gram import Grams
from .perceptron.learner import PerceptronLearner
from .samples import Samples
from .states import OptimizerStates
from .trial import after_a_step, try_mapped

log = logging.getLogger("p2pl.swarm")


@dataclass(frozen=True)
class Learners:
    """What makes a learner for each worker thread.

    Attributes
    ----------
    make : Callable[[], Learner]
        Makes one, with a copy of the module.
    draws : bool
        Whether PyTorch's global generator is drawn from. Chunks cannot be trained side by side
        then: threads share it.
    path : str
        Which way it is, one of `p2pl_flower.swarm.options.PATHS`.
    footprint : Footprint
        What training needs of memory.
    states : OptimizerStates or None
        What optimizers keep from round to round, if they do.
    """

    make: Callable[[], Learner]
    draws: bool
    path: str
    footprint: Footprint
    states: OptimizerStates | None = None


def learner_for(
    template: nn.Module, options: TrainOptions, samples: Samples, path: str | None = None
) -> Learners:
    """Return what makes a learner for modules of the template's class.

    Perceptrons have one of their own. Other modules make a step on trial: ``torch.func`` maps
    what it can; the rest is trained one device after the other, and so are, on a CPU, modules
    with convolutions and recurrent layers, for which that is the quicker way. The choice follows
    from the module and the options alone, so that a run can be repeated to the bit.

    Parameters
    ----------
    template : nn.Module
        A module of the devices' class, on the device where they will train.
    options : TrainOptions
        Options of local training.
    samples : Samples
        All devices' samples, which are brought into the form that the module and the loss take;
        a few serve for the trial.
    path : str or None
        Which of the learners; None chooses.

    Raises
    ------
    ConfigError
        The module or the data cannot be trained on; names the submodule. Or the path asked for
        does not suit.
    """
    refuse_lazy(template)
    if not any(p.requires_grad for p in template.parameters()):
        rule = "has no parameter that is trained: all are frozen, or there is none"
        raise ConfigError("model", type(template).__name__, rule)
    samples.x, outputs = fit_inputs(samples.x, template)
    samples.y = fit_targets(samples.y, outputs, options.loss, "data")
    first = options.in_round(1)
    if path in (None, PerceptronLearner.path):
        if suits_perceptron(template, options, samples):
            return _perceptron(template, options, samples)
        if path is not None:
            rule = "the model, the loss or the optimizer is not one that it takes"
            raise ConfigError("path", path, rule)
    return _general(template, first, samples, path)


def suits_perceptron(template: nn.Module, options: TrainOptions, samples: Samples) -> bool:
    """Tell whether the fast path for perceptrons gives what was asked for."""
    single = options.train_precision == "float32"
    elementwise = acts_elementwise(options.make_optimizer(template.parameters()))
    plain = is_plain_cross_entropy(options.loss) and single and elementwise
    single = isinstance(samples.x, Tensor) and samples.x.dtype == torch.float32
    right = single and samples.y.dtype == torch.int64
    shaped = samples.y.dim() == 1 and not bool((samples.y < 0).any())
    usual = plain and right and shaped and options.transform is None
    return usual and PerceptronLearner.fits(template, samples.x)


def _perceptron(template: nn.Module, options: TrainOptions, samples: Samples) -> Learners:
    """Return the learners of a perceptron."""
    grams, draws = Grams(samples), PerceptronLearner(template, options).draws
    keeps = not options.is_momentum_sgd
    states = OptimizerStates(len(samples)) if keeps and not options.reset_optimizer else None
    state = after_a_step(template, options.in_round(1), samples).state if keeps else 0

    def make() -> Learner:
        learner = PerceptronLearner(copy_of(template), options, grams)
        learner.states = states
        return learner

    footprint = PerceptronLearner.footprint(template, options, samples, state)
    return Learners(make, draws, PerceptronLearner.path, footprint, states)


def _general(
    template: nn.Module, options: TrainOptions, samples: Samples, path: str | None
) -> Learners:
    """Return the learners of a module that is no perceptron."""
    states = None if options.reset_optimizer else OptimizerStates(len(samples))
    way, reason = _way(template, options, path)
    seen = after_a_step(template, options, samples)
    draws = seen.draws
    if way is FunctionalLearner:
        try:
            with _slow_operations_refused(path is None):
                draws = try_mapped(template, options, samples, seen)
        except ConfigError as error:
            if path is not None:
                raise
            way = OneByOneLearner
            reason = "" if isinstance(error.__cause__, UserWarning) else error.rule
    if reason:
        log.warning(
            "%s is trained one device after the other, which takes small models several times as "
            "long: %s",
            type(template).__name__,
            reason,
        )
    footprint = _footprint(way, template, options, samples, seen.state)

    def make() -> Learner:
        learner = way(copy_of(template), options)
        learner.draws, learner.states = draws, states
        if isinstance(learner, FunctionalLearner):
            learner.trained = [name for name in learner.trained if name not in seen.unused]
            learner.unsaved = seen.unsaved
        return learner

    return Learners(make, draws, way.path, footprint, states)


def _footprint(
    way: type[FunctionalLearner | OneByOneLearner],
    template: nn.Module,
    options: TrainOptions,
    samples: Samples,
    kept: int,
) -> Footprint:
    """Return what a way needs, ``kept`` being what an optimizer keeps for a device."""
    times = MAPPED if way is FunctionalLearner else ALONE
    step = activation_bytes(template, options, samples, times)
    training = parameter_bytes(template) + kept + step
    stays = 0 if options.reset_optimizer else kept * len(samples)
    if way is FunctionalLearner:
        return Footprint(training + parameter_bytes(template), kept=stays)
    return Footprint(0, worker=training + model_bytes(template), kept=stays)


def _way(
    template: nn.Module, options: TrainOptions, path: str | None
) -> tuple[type[FunctionalLearner | OneByOneLearner], str]:
    """Return the way to try first, and why it is not the mapped one where that is a pity."""
    optimizer = options.make_optimizer([p for p in template.parameters() if p.requires_grad])
    if not acts_elementwise(optimizer):
        name = type(optimizer).__name__
        if path == FunctionalLearner.path:
            raise ConfigError("path", path, f"{name} does not act on each number for itself")
        return OneByOneLearner, f"{name} does not act on each number for itself"
    if path == OneByOneLearner.path or (path is None and is_quicker_one_by_one(template)):
        return OneByOneLearner, ""
    return FunctionalLearner, ""


@contextmanager
def _slow_operations_refused(refused: bool) -> Iterator[None]:
    """Let operations fail that PyTorch maps by a loop over devices: it says so in a warning."""
    with warnings.catch_warnings():
        if refused:
            warnings.filterwarnings("error", message="There is a performance drop")
        yield
