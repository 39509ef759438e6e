"""Accuracy and loss of many devices' models on one test set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError
from ..history import Scores, Spread
from .learner import Learner
from .stack import Stack, rows_of
from .workers import Ids, Workers

TOGETHER = 4
"""Devices that are scored together: enough for large products in the first layer."""


class Scoring:
    """A test set, and what scores models on it.

    Parameters
    ----------
    test : (x, y)
        Inputs and labels.
    learner : Learner
        Makes the inputs ready for models of its class.
    device : str
        Where the tensors lie.
    precision : torch.dtype
        What products are computed in.

    Raises
    ------
    ConfigError
        The test set is empty, or does not have as many labels as inputs.
    """

    def __init__(
        self, test: tuple[Any, Any], learner: Learner, device: str, precision: torch.dtype
    ) -> None:
        x, y = (torch.as_tensor(part).to(device) for part in test)
        if not len(y) or len(x) != len(y):
            rule = "must have as many labels as inputs, and one at least"
            raise ConfigError("test", (len(x), len(y)), rule)
        self.samples = len(y)
        order = learner.order(x)
        self._inputs = learner.inputs(x[order], precision)
        self._labels = y[order]

    def scores(self, stack: Stack, devices: Ids, workers: Workers[Learner]) -> Scores | None:
        """Return the scores of the devices' models on the whole test set."""
        if not len(devices):
            return None
        sums = np.zeros((2, len(devices)))

        @torch.inference_mode()
        def score(learner: Learner, places: Ids) -> None:
            logits = learner.logits(stack.models(rows_of(devices[places])), self._inputs)
            sums[:, places] = _score(logits, self._labels).cpu().numpy()

        workers.map(score, workers.chunks(np.arange(len(devices)), TOGETHER))
        losses, hits = sums / self.samples
        return Scores(Spread.over(hits), Spread.over(losses))


def _score(logits: Tensor, y: Tensor) -> Tensor:
    """Return the devices' sums of cross-entropies (nats) and numbers of hits, shape (2, C)."""
    # With the classes leading, reductions over them are quicker.
    classes = logits.movedim(2, 0).to(torch.float32, memory_format=torch.contiguous_format)
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
