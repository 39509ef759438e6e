"""Accuracy and loss of many devices' models on one test set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError
from ..history import Scores, Spread
from .learner import Learner
from .stack import Stack
from .workers import Workers

BATCH = 1000
"""Samples in one pass: enough for large products, few enough for the cache."""


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
        # Samples of one class have more in common, and what they have is computed once.
        order = y.argsort(stable=True)
        self._batches = [
            (learner.inputs(x[part], precision), y[part]) for part in torch.split(order, BATCH)
        ]

    def scores(
        self, stack: Stack, devices: NDArray[np.int64], workers: Workers[Learner]
    ) -> Scores | None:
        """Return the scores of the devices' models on the whole test set."""
        if not len(devices):
            return None
        sums = np.zeros((2, len(devices)))

        def score(learner: Learner, place: int) -> None:
            model = stack.model(int(devices[place]))
            each = torch.stack([_score(learner.logits(model, x), y) for x, y in self._batches])
            sums[:, place] = each.sum(0).cpu().numpy()

        workers.map(score, range(len(devices)))
        losses, hits = sums / self.samples
        return Scores(Spread.over(hits), Spread.over(losses))


def _score(logits: Tensor, y: Tensor) -> Tensor:
    """Return the sum of cross-entropies (nats) and the number of hits, shape (2,)."""
    losses = logits.logsumexp(1) - logits.gather(1, y[:, None])[:, 0]
    hits = logits.argmax(1) == y
    return torch.stack([losses.sum(dtype=torch.float64), hits.sum(dtype=torch.float64)])
