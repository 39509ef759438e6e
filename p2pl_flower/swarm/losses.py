"""What a model is trained on: losses by name, or functions of outputs and targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ConfigError

Loss = Callable[[Any, Tensor], Tensor]
"""A function of outputs, shape (B, ...), and targets, shape (B, ...): a mean over samples.

Outputs are what the module returns: a tensor, or a dict or tuple of several."""

CROSS_ENTROPY = "cross-entropy"


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy (nats) of logits, over samples, places and tokens.

    Parameters
    ----------
    outputs : Tensor, shape (B, classes, ...) or (B, ..., classes)
        Logits; which axis has the classes follows from the targets' shape. Where both would
        do it is axis 1, as PyTorch has it.
    targets : Tensor, shape (B, ...)
        Class indices, those of -100 counting nothing; or probabilities in the outputs' shape.
    """
    return functional.cross_entropy(classes_second(outputs, targets), targets)


def classes_second(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return logits with the classes on axis 1, as `cross_entropy` reads them."""
    places = targets.shape
    if outputs.dim() < 3 or outputs.dim() != targets.dim() + 1:
        return outputs
    if (outputs.shape[0], *outputs.shape[2:]) != tuple(places) and outputs.shape[:-1] == places:
        return outputs.movedim(-1, 1)
    return outputs


LOSSES: Mapping[str, Loss] = {
    CROSS_ENTROPY: cross_entropy,
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
    "bce": functional.binary_cross_entropy_with_logits,
}
"""Losses by name; ``bce`` is the binary cross-entropy of logits."""


def loss_function(given: str | Loss) -> Loss:
    """Return the loss that a name or function stands for; values for each sample are averaged.

    Raises
    ------
    ConfigError
        Unknown name, or neither a name nor a function.
    """
    if isinstance(given, str):
        if given not in LOSSES:
            raise ConfigError("loss", given, "unknown name", LOSSES)
        return LOSSES[given]
    if is_plain_cross_entropy(given):
        return cross_entropy
    if not callable(given) or isinstance(given, type):
        rule = "must be a name, or a function of outputs and targets (an instance of a module's"
        raise ConfigError("loss", given, f"{rule} class will do)", LOSSES)

    def mean(outputs: Any, targets: Tensor) -> Tensor:
        value = given(outputs, targets)
        return value.mean() if value.dim() else value

    return mean


def of_classes(given: str | Loss) -> bool:
    """Tell whether targets are classes: whether the loss is a cross-entropy of logits."""
    if isinstance(given, nn.CrossEntropyLoss):
        return True
    return given in (CROSS_ENTROPY, cross_entropy, functional.cross_entropy)


def is_plain_cross_entropy(given: str | Loss) -> bool:
    """Tell whether it is the mean cross-entropy, unweighted and without smoothing."""
    if type(given) is nn.CrossEntropyLoss:
        usual = nn.CrossEntropyLoss()
        same = ("ignore_index", "reduction", "label_smoothing")
        plain = all(getattr(given, name) == getattr(usual, name) for name in same)
        return plain and given.weight is None
    return of_classes(given) and not isinstance(given, nn.Module)


def sum_and_count(loss: Loss, outputs: Any, targets: Tensor) -> tuple[Tensor, int]:
    """Return the sum of a batch's losses, and how many it is a sum of.

    A cross-entropy counts what is not to be ignored; of other losses, which are means, each
    sample counts once.
    """
    value = loss(outputs, targets).detach()
    count = len(targets)
    if loss is cross_entropy and not targets.is_floating_point():
        count = int((targets != -100).sum())
        value = value if count else torch.zeros_like(value)
    return value.double() * count, count
