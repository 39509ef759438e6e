"""Optimizers of PyTorch by name, as classes, or as functions of parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim.sgd import sgd as sgd_steps

from ..config import Table
from ..errors import ConfigError


class Optimizer(Protocol):
    """What is used of ``torch.optim.Optimizer``."""

    param_groups: list[dict[str, Any]]
    state: Any

    def step(self) -> Any:
        """Change the parameters by their gradients."""


Maker = Callable[..., Optimizer]
"""Makes an optimizer of parameters; is given ``lr`` where it takes one."""


class PlainSGD:
    """``torch.optim.SGD`` without what PyTorch's optimizers import when the first is made.

    That is the compiler, which takes a process seconds.
    """

    def __init__(self, params: Iterable[Tensor] | list[dict[str, Any]], **rest: Any) -> None:
        given: list[Any] = list(params)
        groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        self.param_groups: list[dict[str, Any]] = [{**rest, **group} for group in groups]
        self.state: dict[Tensor, dict[str, Any]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters by their gradients."""
        for group in self.param_groups:
            weights = [w for w in group["params"] if w.grad is not None]
            kept = [self.state.setdefault(weight, {}) for weight in weights]
            momenta = [entry.get("momentum_buffer") for entry in kept]
            rest = {key: value for key, value in group.items() if key != "params"}
            gradients = [w.grad for w in weights]
            fused = not any(g.is_sparse or g.is_complex() for g in gradients)
            sgd_steps(weights, gradients, momenta, foreach=False, fused=fused, **rest)
            if group["momentum"]:
                for entry, momentum in zip(kept, momenta, strict=True):
                    entry["momentum_buffer"] = momentum


def _sgd(
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> Maker:
    if nesterov and (momentum <= 0 or dampening):
        rule = "nesterov needs a momentum above 0 and no dampening"
        raise ConfigError("optimizer", "sgd", rule)
    return partial(
        PlainSGD,
        momentum=momentum,
        dampening=dampening,
        nesterov=nesterov,
        weight_decay=weight_decay,
        maximize=False,
    )


def _adam(
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
) -> Maker:
    betas = beta1, beta2
    return partial(
        torch.optim.Adam,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        amsgrad=amsgrad,
        fused=True,
    )


def _adamw(
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    amsgrad: bool = False,
) -> Maker:
    betas = beta1, beta2
    return partial(
        torch.optim.AdamW,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        amsgrad=amsgrad,
        fused=True,
    )


def _rmsprop(
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> Maker:
    return partial(
        torch.optim.RMSprop,
        alpha=alpha,
        eps=eps,
        weight_decay=weight_decay,
        momentum=momentum,
        centered=centered,
    )


def _adagrad(
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
) -> Maker:
    return partial(
        torch.optim.Adagrad,
        lr_decay=lr_decay,
        weight_decay=weight_decay,
        initial_accumulator_value=initial_accumulator_value,
        eps=eps,
    )


OPTIMIZERS: Mapping[str, Callable[..., Maker]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adamw,
    "rmsprop": _rmsprop,
    "adagrad": _adagrad,
}
"""Optimizers by name, with their parameters."""

_TABLE: Table[Maker] = Table("optimizer", OPTIMIZERS)

_ELEMENTWISE = (
    "SGD Adam AdamW RMSprop Adagrad Adadelta Adamax NAdam RAdam ASGD Rprop"  # in torch.optim
)


def optimizer_maker(given: str | Maker, momentum: float) -> Maker:
    """Return what makes the optimizer that text, a class or a function stands for.

    Parameters
    ----------
    given : str or callable
        ``adamw:weight_decay=0.1``, say; a class of ``torch.optim``; ``functools.partial`` of
        one; or a function of a model's parameters that returns an optimizer.
    momentum : float
        That of ``sgd`` whose text says none.

    Raises
    ------
    ConfigError
        Unknown name or parameter, a value that it cannot have, or nothing of these.
    """
    if isinstance(given, str):
        return _named(given, momentum)
    if not callable(given):
        rule = "must be text, a class of torch.optim, or a function of parameters"
        raise ConfigError("optimizer", given, rule, OPTIMIZERS)
    return given


@lru_cache
def _named(text: str, momentum: float) -> Maker:
    factory, arguments = _TABLE.bind(text)
    if factory is _sgd:
        arguments = {"momentum": momentum, **arguments}
    try:
        made = factory(**arguments)
        make(made, [torch.zeros(1)], 0.1, 1.0)
    except (ConfigError, ValueError) as error:
        rule = error.rule if isinstance(error, ConfigError) else str(error)
        raise ConfigError("optimizer", text, rule) from None
    return made


def make(maker: Maker, params: list[Tensor], rate: float, factor: float) -> Optimizer:
    """Return an optimizer of parameters.

    Parameters
    ----------
    maker : callable
        What `optimizer_maker` has returned.
    params : list[Tensor]
        The parameters.
    rate : float
        The learning rate of the round, for makers that take one and have none set.
    factor : float
        What the round's learning rate is of the first's, for those that set their own.
    """
    if takes_rate(maker):
        return maker(params, lr=rate)
    made = maker(params)
    for group in made.param_groups:
        group["lr"] = group["lr"] * factor
    return made


def takes_rate(maker: Maker) -> bool:
    """Tell whether a maker is to be given the learning rate: it takes ``lr``, and set none."""
    if isinstance(maker, partial) and "lr" in maker.keywords:
        return False
    inner: Any = maker.func if isinstance(maker, partial) else maker
    return inner is PlainSGD or "lr" in inspect.signature(inner).parameters


def acts_elementwise(optimizer: Optimizer) -> bool:
    """Tell whether it changes each number of a parameter by that number's own gradients.

    Such ones act on stacked parameters as they act on each device's.
    """
    kinds = [PlainSGD, *(getattr(torch.optim, name) for name in _ELEMENTWISE.split())]
    return type(optimizer) in kinds
