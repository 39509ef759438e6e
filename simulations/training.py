"""Local training of one device's model, in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.sgd import sgd

from p2pl_flower.errors import LayoutError
from p2pl_flower.swarm import PRECISIONS, TrainOptions
from p2pl_flower.swarm.augmentation import Augmentation, Draw
from p2pl_flower.swarm.losses import Loss, loss_function

Kept = dict[str, dict[str, Tensor]]
"""An optimizer's state, for each parameter by name."""


def train(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    options: TrainOptions,
    order: Callable[[int], NDArray[np.int64]],
    correction: Mapping[str, Tensor] | None = None,
    draw: Callable[[int, int, Sequence[int]], Draw] | None = None,
    kept: Kept | None = None,
) -> float:
    r"""Train ``model`` in place by mini-batches and return the mean loss of a sample.

    Each of the H steps of a round is the optimizer's, and adds its share of the correction
    :math:`D`. With SGD, learning rate :math:`\eta` and momentum :math:`\mu`:

    .. math:: v \leftarrow \mu v + \nabla f(w), \qquad
              w \leftarrow w - \eta v + D / H

    Parameters
    ----------
    model : nn.Module
        Maps images to what the loss takes.
    x, y : Tensor
        The device's images, shape (samples, channels, height, width), and targets.
    options : TrainOptions
        Those of the round (see `TrainOptions.in_round`).
    order : Callable[[int], NDArray]
        The order of the samples in an epoch, counted from 0: a permutation.
    correction : Mapping[str, Tensor] or None
        What the algorithm adds to the parameters in a round, by name; see
        `p2pl_flower.local_correction`.
    draw : Callable[[int, int, sequence of int], Draw] or None
        What a step's augmentation is drawn from, by epoch, step in it and samples: for options
        that have a transform.
    kept : dict or None
        The optimizer's state, by parameter and part: it begins with what it holds, and holds
        what it ends with. None begins anew.

    Raises
    ------
    LayoutError
        The correction is for none of the model's parameters.

    Notes
    -----
    Plain SGD is made by its functional form: it saves the work that an optimizer object does in
    every step, and the seconds that the first of them costs each process (it imports the compiler).
    """
    model.train()
    named: dict[str, Tensor] = {n: w for n, w in model.named_parameters() if w.requires_grad}
    weights, loss_of = list(named.values()), loss_function(options.loss)
    optimizer: Any
    if kept is None and options.is_momentum_sgd:
        optimizer = _MomentumSGD(weights, options)
    else:
        optimizer = options.make_optimizer(weights)
    for name, parts in (kept or {}).items():
        optimizer.state[named[name]] = dict(parts)
    changes = _changes(model, options, correction, len(y))
    losses = []
    for images, labels in _batches(x, y, options, order, draw):
        loss = _gradients(model, weights, images, labels, loss_of, options)
        with torch.no_grad():
            optimizer.step()
            for weight, change in zip(weights, changes, strict=False):
                if change is not None:
                    weight.add_(change)
        for weight in weights:
            weight.grad = None  # before the next ones are made: they find its memory in the cache
        losses.append(loss * len(labels))
    if kept is not None:
        kept.update({name: dict(optimizer.state.get(w, {})) for name, w in named.items()})
    return float(torch.stack(losses).sum()) / (options.local_epochs * len(y))


def _batches(
    x: Tensor,
    y: Tensor,
    options: TrainOptions,
    order: Callable[[int], NDArray[np.int64]],
    draw: Callable[[int, int, Sequence[int]], Draw] | None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all mini-batches; an epoch's samples are gathered at once: a batch is a view."""
    augmentation = Augmentation(options.transform) if options.transform is not None else None
    for epoch in range(options.local_epochs):
        index = torch.from_numpy(order(epoch)).to(x.device)
        parts = (torch.split(part, options.batch_size) for part in (index, x[index], y[index]))
        for step, (samples, images, labels) in enumerate(zip(*parts, strict=True)):
            if augmentation is not None and draw is not None:
                images = augmentation(images, draw(epoch, step, samples.tolist()))
            yield images, labels


def _gradients(
    model: nn.Module,
    weights: list[Tensor],
    images: Tensor,
    labels: Tensor,
    loss_of: Loss,
    options: TrainOptions,
) -> Tensor:
    """Set the weights' gradients, and return the loss."""
    if options.train_precision == "float32":
        loss = loss_of(model(images), labels)
    else:
        with torch.autocast(images.device.type, PRECISIONS[options.train_precision]):
            loss = loss_of(model(images), labels)
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    for weight, gradient in zip(weights, found, strict=True):
        weight.grad = gradient
    if options.clip_norm:
        nn.utils.clip_grad_norm_(weights, options.clip_norm)
    return loss.detach()


class _MomentumSGD:
    """SGD with momentum that starts from zero, and nothing else."""

    def __init__(self, weights: list[Tensor], options: TrainOptions) -> None:
        self._weights, self._options = weights, options
        self._momenta: list[Tensor | None] = [None] * len(weights)
        self._fused = all(w.device.type in ("cpu", "cuda") for w in weights)

    def step(self) -> None:
        """Make a step along the gradients; a weight without one stays."""
        trained = [place for place, w in enumerate(self._weights) if w.grad is not None]
        whole = len(trained) == len(self._weights)
        momenta = self._momenta if whole else [self._momenta[place] for place in trained]
        weights = self._weights if whole else [self._weights[place] for place in trained]
        sgd(
            weights,
            [cast("Tensor", weight.grad) for weight in weights],
            momenta,
            foreach=False,
            fused=self._fused,
            lr=self._options.learning_rate,
            momentum=self._options.momentum,
            dampening=0.0,
            weight_decay=0.0,
            nesterov=False,
            maximize=False,
        )
        for place, momentum in zip(trained, momenta, strict=True):
            self._momenta[place] = momentum


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
