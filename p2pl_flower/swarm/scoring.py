"""Loss and metrics of many devices' models on one test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..history import Scores, Spread, each_device
from .conversion import fit_inputs, fit_targets
from .copies import copy_of
from .footprint import output_bytes
from .learner import Learner, Outputs, Tensors
from .losses import is_plain_cross_entropy, loss_function, sum_and_count
from .metrics import ACCURACY, Given, Metric, check_metrics, metrics_of
from .nested import Nested, each, joined
from .sources import samples
from .stack import Stack, rows_of
from .workers import Ids, Workers

TOGETHER = 4
"""Devices that are scored together: enough for large products in the first layer."""

_LAYERS = 2
"""Layers whose outputs are there at the same time, in evaluation: one is made of another."""

_LOSS = "loss"


class Scoring:
    """A test set, and what scores models on it.

    Parameters
    ----------
    test : (x, y) or dataset
        Inputs and targets, in any of the forms that `p2pl_flower.swarm.sources.samples` takes.
    learner : Learner
        Makes the inputs ready for models of its class.
    torch_device : str
        Where the tensors lie.
    precision : torch.dtype
        What products are computed in; float32 is the model's own.
    metrics : str, callable, several of them or None
        What is measured beside the loss (see `p2pl_flower.swarm.metrics.metrics_of`).

    Attributes
    ----------
    worker_bytes : int
        What a worker thread needs of memory meanwhile.

    Raises
    ------
    ConfigError
        The test set is empty, or its targets do not fit its inputs, the model or the loss.
    """

    def __init__(
        self,
        test: Any,
        learner: Learner,
        torch_device: str,
        precision: torch.dtype,
        metrics: Given = None,
    ) -> None:
        x, y = each(lambda part: part.to(torch_device), samples(test, "test"))
        loss = learner.options.loss
        x, outputs = fit_inputs(x, learner.template)
        y = fit_targets(y, outputs, loss, "test")
        order = learner.order(x)
        self._inputs = learner.inputs(each(lambda part: part[order], x), precision)
        largest = output_bytes(copy_of(learner.template).eval(), x)
        self.worker_bytes = _LAYERS * largest * learner.together * max(self._inputs.sizes)
        self._targets = torch.split(y[order], self._inputs.sizes)
        self._loss = loss_function(loss)
        check_metrics(metrics, loss, outputs, y[: len(outputs)])
        found = metrics_of(metrics, loss)
        self._metrics = {n: m for n, m in found.items() if isinstance(m, Metric)}
        self._whole = {n: m for n, m in found.items() if not isinstance(m, Metric)}
        plain = is_plain_cross_entropy(loss) and not y.is_floating_point() and y.dim() == 1
        logits = isinstance(outputs, Tensor) and outputs.dim() == 2
        self._quick = plain and logits and not bool((y < 0).any())

    def values(
        self, stack: Stack, devices: Ids, workers: Workers[Learner]
    ) -> dict[str, NDArray[np.float64]]:
        """Return what is measured of each device's model on the whole test set, by name."""
        found: dict[str, NDArray[np.float64]] = {
            name: np.zeros(len(devices)) for name in (_LOSS, *self._metrics, *self._whole)
        }

        @torch.inference_mode()
        def score(learner: Learner, places: Ids) -> None:
            models = stack.models(rows_of(devices[places]))
            for name, values in self._of(learner, models, len(places)).items():
                found[name][places] = values

        workers.map(score, workers.chunks(np.arange(len(devices)), TOGETHER))
        return found

    def _of(self, learner: Learner, models: Tensors, count: int) -> dict[str, list[float]]:
        """Return what is measured of each of ``count`` models."""
        sums = [_Sums() for _ in range(count)]
        kept: list[list[Nested]] = [[] for _ in range(count)]
        for rows, number, outputs in learner.passes(models, self._inputs):
            targets = self._targets[number]
            if self._quick:
                self._add_quick(sums[rows], outputs, targets)
            for row, own in zip(range(count)[rows], outputs, strict=True):
                self._add(sums[row], own, targets)
                if self._whole:
                    kept[row].append(own)
        found = {name: [own.mean(name) for own in sums] for name in (_LOSS, *self._metrics)}
        for name, metric in self._metrics.items():
            found[name] = [metric.last(value) for value in found[name]]
        targets = torch.cat(self._targets)
        for name, function in self._whole.items():
            found[name] = [float(function(joined(own), targets)) for own in kept]
        return found

    def _add_quick(self, sums: Sequence[_Sums], outputs: Outputs, targets: Tensor) -> None:
        """Add the losses and hits of several models on classes."""
        logits = outputs if isinstance(outputs, Tensor) else torch.stack(list(outputs))
        losses, hits = _score(logits, targets).cpu().numpy()
        for own, loss, hit in zip(sums, losses, hits, strict=True):
            own.add(_LOSS, float(loss), len(targets))
            own.add(ACCURACY, float(hit), len(targets))

    def _add(self, sums: _Sums, outputs: Nested, targets: Tensor) -> None:
        """Add what else is measured of one model on a batch."""
        outputs = each(lambda part: part.to(_at_least_single(part.dtype)), outputs)
        if not self._quick:
            total, count = sum_and_count(self._loss, outputs, targets)
            sums.add(_LOSS, float(total), count)
        for name, metric in self._metrics.items():
            if not (self._quick and name == ACCURACY):
                total, count = metric.sums(outputs, targets)
                sums.add(name, float(total), count)


def scores_of(values: Mapping[str, NDArray[np.float64]], devices: Sequence[int] = ()) -> Scores:
    """Return the spreads over ``devices`` of what `Scoring.values` returned for them."""
    spreads = {name: Spread.over(each) for name, each in values.items()}
    rest = {n: s for n, s in spreads.items() if n not in (_LOSS, ACCURACY) and s is not None}
    own = dict(zip(devices, values.get(ACCURACY, np.empty(0)).tolist(), strict=False))
    return Scores(spreads.get(ACCURACY), spreads[_LOSS], rest, each_device(own))


class _Sums:
    """Sums of one model's measures over batches."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, name: str, total: float, count: int) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + total
        self._counts[name] = self._counts.get(name, 0) + count

    def mean(self, name: str) -> float:
        count = self._counts[name]
        return self._sums[name] / count if count else float("nan")


def _at_least_single(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32) if dtype.is_floating_point else dtype


def _score(logits: Tensor, y: Tensor) -> Tensor:
    """Return the devices' sums of cross-entropies (nats) and numbers of hits, shape (2, C)."""
    # With the classes leading, reductions over them are quicker.
    wide = _at_least_single(logits.dtype)
    classes = logits.movedim(2, 0).to(wide, memory_format=torch.contiguous_format)
    places = y.expand(1, *classes.shape[1:])
    losses = -classes.log_softmax(0).gather(0, places)[0]
    hits = _hits(classes, classes.gather(0, places)[0], y)
    return torch.stack([part.sum(1, dtype=torch.float64) for part in (losses, hits)])


def _hits(classes: Tensor, right: Tensor, y: Tensor) -> Tensor:
    """Tell where argmax, the first of the largest logits, is the label.

    Parameters
    ----------
    classes : Tensor, shape (classes, C, N)
        Logits.
    right : Tensor, shape (C, N)
        Those of the labels.
    y : Tensor, shape (N,)
        Labels.
    """
    if not bool(right.isfinite().all()):  # to argmax NaN is the largest
        return classes.argmax(0) == y
    # In two maxima, for argmax takes several times as long: its branches are mispredicted.
    before = torch.arange(len(classes), device=y.device)[:, None] < y
    earlier = classes + torch.where(before, 0.0, -torch.inf)[:, None]
    return (right >= classes.amax(0)) & (right > earlier.amax(0))
