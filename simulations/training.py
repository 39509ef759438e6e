"""Local training and evaluation of one device's model, in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.sgd import sgd

from p2pl_flower.errors import LayoutError
from p2pl_flower.swarm import TrainOptions


def train(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    options: TrainOptions,
    order: Callable[[int], NDArray[np.int64]],
    correction: Mapping[str, Tensor] | None = None,
) -> float:
    r"""Train ``model`` in place by mini-batch SGD and return the mean loss (nats a sample).

    One of the H steps of a round, with learning rate :math:`\eta`, momentum :math:`\mu`
    and correction :math:`D`:

    .. math:: v \leftarrow \mu v + \nabla f(w), \qquad
              w \leftarrow w - \eta v + D / H

    Parameters
    ----------
    model : nn.Module
        Maps images to logits.
    x, y : Tensor
        The device's images, shape (samples, channels, height, width), and labels.
    options : TrainOptions
        Epochs, batch size, learning rate and momentum.
    order : Callable[[int], NDArray]
        The order of the samples in an epoch, counted from 0: a permutation.
    correction : Mapping[str, Tensor] or None
        What the algorithm adds to the parameters in a round, by name; see
        `p2pl_flower.local_correction`.

    Raises
    ------
    LayoutError
        The correction is for none of the model's parameters.

    Notes
    -----
    SGD's functional form saves the work that an optimizer object does in every step, and
    the seconds that the first of them costs each process (it imports the compiler).
    """
    model.train()
    weights: list[Tensor] = [w for w in model.parameters() if w.requires_grad]
    momenta: list[Tensor | None] = [None] * len(weights)
    changes = _changes(model, options, correction, len(y))
    losses = []
    for epoch in range(options.local_epochs):
        for images, labels in _batches(x, y, order(epoch), options.batch_size):
            loss = cross_entropy(model(images), labels)
            gradients = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                _descend(weights, list(gradients), momenta, options)
                for weight, change in zip(weights, changes, strict=False):
                    if change is not None:
                        weight.add_(change)
            losses.append(loss.detach() * len(labels))
    return float(torch.stack(losses).sum()) / (options.local_epochs * len(y))


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    precision: torch.dtype = torch.float32,
    batch: int = 256,
) -> tuple[float, float]:
    """Return the mean loss (nats a sample) and the accuracy (a fraction of 1).

    Parameters
    ----------
    model : nn.Module
        Maps images to logits.
    x, y : Tensor
        Images, shape (samples, channels, height, width), and labels.
    precision : torch.dtype
        What products are computed in.
    batch : int
        Samples in one pass; the result does not depend on it.
    """
    model.eval()
    loss, hits = 0.0, 0
    for images, labels in zip(torch.split(x, batch), torch.split(y, batch), strict=True):
        with torch.autocast(x.device.type, precision, enabled=precision != torch.float32):
            logits = model(images).float()
        loss += float(cross_entropy(logits, labels, reduction="sum"))
        hits += int((logits.argmax(1) == labels).sum())
    return loss / len(y), hits / len(y)


def _batches(
    x: Tensor, y: Tensor, order: NDArray[np.int64], size: int
) -> Iterable[tuple[Tensor, Tensor]]:
    """Gather an epoch's samples at once, so that each batch is a view."""
    index = torch.from_numpy(order).to(x.device)
    return zip(torch.split(x[index], size), torch.split(y[index], size), strict=True)


def _descend(
    weights: list[Tensor],
    gradients: list[Tensor],
    momenta: list[Tensor | None],
    options: TrainOptions,
) -> None:
    sgd(
        weights,
        gradients,
        momenta,
        foreach=False,
        fused=all(w.device.type in ("cpu", "cuda") for w in weights),
        lr=options.learning_rate,
        momentum=options.momentum,
        dampening=0.0,
        weight_decay=0.0,
        nesterov=False,
        maximize=False,
    )


def _changes(
    model: nn.Module,
    options: TrainOptions,
    correction: Mapping[str, Tensor] | None,
    samples: int,
) -> list[Tensor | None]:
    """Return what a step adds to each weight, ``correction / H``; nothing if there is none."""
    if not correction:
        return []
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    if not set(names) & set(correction):
        rule = "correction is for none of the model's parameters"
        raise LayoutError(f"{rule}: it has {sorted(correction)}, they are {sorted(names)}")
    steps = options.local_epochs * math.ceil(samples / options.batch_size)
    return [correction[name] / steps if name in correction else None for name in names]
