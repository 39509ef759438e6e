"""What models are scored by, beside their loss: metrics by name, or functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..config import Table
from ..errors import ConfigError
from .losses import classes_second, of_classes
from .nested import Nested

ACCURACY = "accuracy"
_IGNORED = -100

Part = tuple[Tensor, int]
"""A sum over a batch, and what it is a sum of."""


@dataclass(frozen=True)
class Metric:
    """A mean over samples, or over all that their targets hold.

    Attributes
    ----------
    sums : Callable[[Tensor, Tensor], tuple[Tensor, int]]
        Of the outputs and targets of a batch: the sum, and how many it is a sum of.
    last : Callable[[float], float]
        What is made of the mean in the end.
    """

    sums: Callable[[Tensor, Tensor], Part]
    last: Callable[[float], float] = float


Whole = Callable[[Any, Tensor], Any]
"""A metric of the user's: a number, of one model's outputs on the whole test set."""


def _accuracy() -> Metric:
    """Return the share of right decisions: the largest logit's class, or a logit's sign."""
    return Metric(_hits)


def _top(k: int = 5) -> Metric:
    """Return the share of samples whose class is among those of the k largest logits."""
    if k < 1:
        raise ConfigError("top-k", k, "k must be 1 or more")

    def sums(outputs: Tensor, targets: Tensor) -> Part:
        logits, kept = classes_second(outputs, targets), targets != _IGNORED
        best = logits.topk(min(k, logits.shape[1]), dim=1).indices
        hits = (best == targets.unsqueeze(1)).any(1) & kept
        return hits.sum(dtype=torch.float64), int(kept.sum())

    return Metric(sums)


def _mse() -> Metric:
    """Return the mean squared error, over all numbers of a sample."""
    return Metric(lambda outputs, targets: _errors(_apart(outputs, targets).square()))


def _mae() -> Metric:
    """Return the mean absolute error, over all numbers of a sample."""
    return Metric(lambda outputs, targets: _errors(_apart(outputs, targets).abs()))


def _perplexity() -> Metric:
    """Return the exponential of the mean cross-entropy in nats."""

    def sums(outputs: Tensor, targets: Tensor) -> Part:
        logits = classes_second(outputs, targets)
        total = functional.cross_entropy(logits, targets, reduction="sum")
        return total.double(), int((targets != _IGNORED).sum())

    return Metric(sums, lambda mean: float(torch.tensor(mean, dtype=torch.float64).exp()))


METRICS: Mapping[str, Callable[..., Metric]] = {
    ACCURACY: _accuracy,
    "top-k": _top,
    "mse": _mse,
    "mae": _mae,
    "perplexity": _perplexity,
}
"""Metrics by name, with their parameters."""

_TABLE: Table[Metric | Whole] = Table(
    "metrics", METRICS, group="p2pl_flower.metrics", wrap=lambda function: function
)

Given = str | Whole | Iterable[str | Whole] | Mapping[str, str | Whole] | None


def metrics_of(given: Given, loss: Any) -> dict[str, Metric | Whole]:
    """Return metrics by what they are called.

    Parameters
    ----------
    given : str, callable, or several of them, or a mapping from names to them
        ``accuracy``, ``top-k:k=3``, ``mse``, ``mae``, ``perplexity``, or functions of one
        model's outputs and the targets of the whole test set. Texts may be joined by ``+``.
    loss : str or callable
        That of training: accuracy is measured wherever targets are classes.

    Raises
    ------
    ConfigError
        Unknown name or parameter, neither text nor a function, or two of the same name.
    """
    found: dict[str, Metric | Whole] = {}
    if of_classes(loss) or loss == "bce":
        found[ACCURACY] = _accuracy()
    for name, one in _named(given):
        if name in found and name != ACCURACY:
            raise ConfigError("metrics", name, "is there twice; give a mapping from names to them")
        if not isinstance(one, str) and not callable(one):
            rule = "must be the name of a metric, or a function of outputs and targets"
            raise ConfigError("metrics", one, rule, METRICS)
        found[name] = _TABLE.make(one) if isinstance(one, str) else one
    return found


def check_metrics(given: Given, loss: Any, outputs: Nested, targets: Tensor) -> None:
    """Refuse metrics by name that do not suit the outputs and targets of some samples.

    Raises
    ------
    ConfigError
        A metric cannot be computed of them.
    """
    for name, metric in metrics_of(given, loss).items():
        if not isinstance(metric, Metric):
            continue
        if not isinstance(outputs, Tensor):
            rule = f"takes one tensor, but the model returns a {type(outputs).__name__}; give a "
            raise ConfigError("metrics", name, rule + "function of that and the targets")
        try:
            metric.sums(outputs, targets)
        except (RuntimeError, IndexError, ValueError) as error:
            shapes = f"outputs of shape {('n', *outputs.shape[1:])} and "
            shapes += f"{targets.dtype} targets of shape {('n', *targets.shape[1:])}"
            rule = f"does not suit {shapes} ({' '.join(str(error).split())[:120]})"
            raise ConfigError("metrics", name, rule) from None


def _named(given: Given) -> list[tuple[str, Any]]:
    if given is None:
        return []
    if isinstance(given, Mapping):
        return list(given.items())
    if isinstance(given, str):
        given = [part.strip() for part in given.split("+") if part.strip()]
    several = [given] if callable(given) else list(given)
    return [
        (m if isinstance(m, str) else getattr(m, "__name__", type(m).__name__), m) for m in several
    ]


def _hits(outputs: Tensor, targets: Tensor) -> Part:
    if targets.is_floating_point() and targets.shape == outputs.shape:
        if outputs.dim() > 1 and outputs.shape[1] > 1 and _sums_to_one(targets):
            right = outputs.argmax(1) == targets.argmax(1)
        else:
            right = (outputs > 0) == (targets > 0.5)
        return right.sum(dtype=torch.float64), right.numel()
    kept = targets != _IGNORED
    right = (classes_second(outputs, targets).argmax(1) == targets) & kept
    return right.sum(dtype=torch.float64), int(kept.sum())


def _sums_to_one(targets: Tensor) -> bool:
    return bool(((targets.sum(1) - 1).abs() < 1e-3).all())


def _apart(outputs: Tensor, targets: Tensor) -> Tensor:
    if outputs.shape != targets.shape:  # PyTorch would stretch one to the other's shape
        raise ValueError("they must have the same shape")
    return outputs - targets


def _errors(each: Tensor) -> Part:
    return each.sum(dtype=torch.float64), each.numel()
