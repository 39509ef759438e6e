"""Inputs and targets brought into the form that a model and its loss take, where it is plain."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ConfigError
from .copies import copy_of
from .losses import LOSSES, Loss, classes_second, of_classes
from .naming import ERRORS, naming_submodules
from .nested import Nested, call, each, first, tensors

_FEW = 2
_IGNORED = -100

_LIKE_OUTPUTS = (
    *(loss for name, loss in LOSSES.items() if name != "cross-entropy"),
    functional.smooth_l1_loss,
)
_LIKE_OUTPUTS_MODULES = (
    nn.MSELoss,
    nn.L1Loss,
    nn.HuberLoss,
    nn.SmoothL1Loss,
    nn.BCEWithLogitsLoss,
    nn.BCELoss,
)


def fit_inputs(x: Nested, template: nn.Module) -> tuple[Nested, Nested]:
    """Return inputs in a type that a module takes, and what it makes of the first of them.

    They stay as they are where the module takes them so. Otherwise they become numbers of its
    parameters' type, or integers of 64 bits: whichever it takes. Of several inputs, those that
    are fractions become the parameters' type.

    Raises
    ------
    ConfigError
        It takes neither; names the submodule that failed on them as they are.
    """
    module = copy_of(template).eval()
    for kind in _types(x, module):
        try:
            return _as(x, kind), _outputs(module, _as(_few(x), kind))
        except ERRORS:
            continue
    with naming_submodules(module, type(template).__name__):
        return x, _outputs(module, _few(x))


def fit_targets(y: Tensor, outputs: Nested, loss: str | Loss, argument: str) -> Tensor:
    """Return targets in the type and shape that a loss takes.

    Parameters
    ----------
    y : Tensor, shape (N, ...)
        Targets as they were given.
    outputs : Tensor, shape (few, ...), or mapping or tuple of tensors
        What a model makes of the first samples.
    loss : str or callable
        As in `TrainOptions`.
    argument : str
        What they are called in errors: ``data`` or ``test``.

    Raises
    ------
    ConfigError
        It is not plain what is meant.
    """
    of_one = of_classes(loss) or _is_like_outputs(loss)
    if of_one and not isinstance(outputs, Tensor):
        rule = f"returns several outputs, and the loss {_called(loss)} takes one tensor; give a "
        rule += "loss of your own, a function of those and the targets"
        raise ConfigError("model", type(outputs).__name__, rule)
    if of_classes(loss):
        return _classes(y, outputs, argument)
    if _is_like_outputs(loss):
        return _like_outputs(y, outputs, argument)
    if y.is_floating_point():
        kind = first(outputs).dtype
        return y.to(kind) if kind.is_floating_point else y
    return y if y.dtype == torch.bool or y.is_complex() else y.long()


def _types(x: Nested, module: nn.Module) -> Iterator[torch.dtype | None]:
    """Yield the types that inputs may be meant to have, their own first."""
    yield None
    kinds = {p.dtype for p in module.parameters() if p.is_floating_point()}
    if not isinstance(x, Tensor):
        yield from sorted(kinds, key=str)
        return
    if not x.is_complex():
        yield from sorted(kinds - {x.dtype}, key=str)
    if not x.is_floating_point() and not x.is_complex() and x.dtype != torch.int64:
        yield torch.int64


def _as(x: Nested, kind: torch.dtype | None) -> Nested:
    """Return inputs in a type; of several, those that are fractions. None is for their own."""
    if kind is None or isinstance(x, Tensor):
        return x if kind is None else x.to(kind)
    return each(lambda part: part.to(kind) if part.is_floating_point() else part, x)


def _few(x: Nested) -> Nested:
    return each(lambda part: part[:_FEW], x)


@torch.no_grad()
def _outputs(module: nn.Module, x: Nested) -> Nested:
    samples = first(x)
    with torch.random.fork_rng(devices=[] if samples.is_cpu else None):
        outputs = call(module, x)
    if not any(True for _ in tensors(outputs)):
        rule = "must return a tensor, or a dict or tuple of tensors for a loss that takes it"
        raise ConfigError("model", type(outputs).__name__, rule)
    if isinstance(outputs, Tensor) and (not outputs.dim() or len(outputs) != len(samples)):
        rule = "its outputs must be logits of shape (batch, classes), or one for each of "
        raise ConfigError("model", tuple(outputs.shape), f"{rule}{len(samples)} samples")
    return outputs


def _classes(y: Tensor, outputs: Tensor, argument: str) -> Tensor:
    """Return class indices of 64 bits, or probabilities."""
    if outputs.dim() < 2:
        rule = "its outputs must be logits of shape (batch, classes) for this loss"
        raise ConfigError("model", tuple(outputs.shape), rule)
    if y.is_floating_point() and y.shape[1:] == outputs.shape[1:] and y.shape[1:] != (1,):
        return y.to(outputs.dtype)
    if y.dim() == 2 and outputs.dim() == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.is_complex() or (y.is_floating_point() and not bool((y == y.round()).all())):
        rule = "labels must be whole numbers, from 0, or probabilities of shape "
        rule += f"{('n', *outputs.shape[1:])}; give loss='mse' or another where they are neither"
        raise ConfigError(argument, f"labels of {y.dtype}", rule)
    y = y.long()
    logits = classes_second(outputs, y[: len(outputs)])
    places = (*logits.shape[2:],)
    if y.shape[1:] != places:
        rule = f"labels must have the shape {('n', *places)} for outputs of shape "
        rule += f"{('n', *outputs.shape[1:])}"
        raise ConfigError(argument, f"labels of shape {tuple(y.shape)}", rule)
    found = y[y != _IGNORED]
    if found.numel() and (int(found.min()) < 0 or int(found.max()) >= logits.shape[1]):
        rule = f"labels must be from 0 to {logits.shape[1] - 1}, for the model has "
        rule += f"{logits.shape[1]} outputs (or {_IGNORED}, which counts nothing)"
        raise ConfigError(argument, f"labels from {int(found.min())} to {int(found.max())}", rule)
    return y


def _like_outputs(y: Tensor, outputs: Tensor, argument: str) -> Tensor:
    """Return targets of the outputs' type and shape."""
    wanted = outputs.shape[1:]
    squeezed = [n for n in wanted if n != 1] == [n for n in y.shape[1:] if n != 1]
    if not squeezed or y.is_complex():
        rule = f"targets must have the shape {('n', *wanted)}, that of the model's outputs"
        raise ConfigError(argument, f"targets of shape {tuple(y.shape)}, {y.dtype}", rule)
    return y.reshape(len(y), *wanted).to(outputs.dtype)


def _is_like_outputs(loss: str | Loss) -> bool:
    if isinstance(loss, str):
        return loss in LOSSES
    return loss in _LIKE_OUTPUTS or isinstance(loss, _LIKE_OUTPUTS_MODULES)


def _called(loss: str | Loss) -> str:
    return loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
