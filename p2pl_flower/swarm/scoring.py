"""Accuracy and loss of many devices' models on one test set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

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
    test : (x, y) or None
        Inputs and labels; None where nothing is to be scored.
    device : str
        Where the tensors lie.
    """

    def __init__(self, test: tuple[Any, Any] | None, device: str) -> None:
        self.test: tuple[Tensor, Tensor] | None = None
        if test is not None:
            x, y = (torch.as_tensor(part).to(device) for part in test)
            if not len(y) or len(x) != len(y):
                rule = "must have as many labels as inputs, and one at least"
                raise ConfigError("test", (len(x), len(y)), rule)
            self.test = x, y

    @property
    def nbytes(self) -> int:
        """Size of the test set in bytes."""
        return sum(part.nbytes for part in self.test or ())

    def scores(
        self, stack: Stack, devices: NDArray[np.int64], workers: Workers[Learner]
    ) -> Scores | None:
        """Return the scores of the devices' models on the whole test set."""
        if self.test is None or not len(devices):
            return None
        x, y = self.test
        losses, hits = np.zeros(len(devices)), np.zeros(len(devices))

        def score(learner: Learner, place: int) -> None:
            model = stack.model(int(devices[place]))
            losses[place], hits[place] = _score(learner, model, x, y)

        workers.map(score, range(len(devices)))
        return Scores(Spread.over(hits / len(y)), Spread.over(losses / len(y)))


@torch.no_grad()
def _score(learner: Learner, model: dict[str, Tensor], x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return the sum of losses and the number of hits."""
    sums = torch.zeros(2, dtype=torch.float64, device=x.device)
    for inputs, labels in zip(torch.split(x, BATCH), torch.split(y, BATCH), strict=True):
        logits = learner.logits(model, inputs)
        sums[0] += cross_entropy(logits, labels, reduction="sum")
        sums[1] += (logits.argmax(1) == labels).sum()
    loss, hits = sums.tolist()
    return loss, hits
