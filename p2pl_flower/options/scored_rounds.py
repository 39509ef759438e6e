"""When models are scored, and whose: said once, for strategies, devices and simulators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import Option, at_least, within

EVALUATE_EVERY = Option(
    "models are scored in every n-th round, and in the last; 0 is never",
    at_least(0),
    default=1,
    name="evaluate-every",
    kind=int,
)
EVALUATE_TRAINED = Option(
    "whether they are scored after training too, or only after consensus",
    default=True,
    name="evaluate-trained",
    kind=bool,
)
FRACTION_EVALUATE = Option(
    "share of the devices whose models are scored, drawn anew in each round",
    within("(0, 1]"),
    default=1.0,
    name="fraction-evaluate",
    kind=float,
)


@dataclass(frozen=True)
class ScoredRounds:
    """The rounds in which models are scored, and whose.

    Attributes
    ----------
    every : int
        Models are scored in every n-th round, and in the last; 0 is never.
    last : int
        The last round.
    trained : bool
        Whether they are scored after training too, or only after consensus.
    fraction : float
        f, the share of the devices that are scored.
    """

    every: int
    last: int
    trained: bool = True
    fraction: float = 1.0

    def due(self, round_number: int) -> bool:
        """Return whether models are scored in a round."""
        return self.every > 0 and (round_number % self.every == 0 or round_number == self.last)

    def due_after_training(self, round_number: int) -> bool:
        """Return whether models are scored after the training of a round."""
        return self.trained and self.due(round_number)

    def drawn(
        self, devices: Sequence[int] | NDArray[np.int64], draw: np.random.Generator
    ) -> NDArray[np.int64]:
        r"""Return whose models are scored: :math:`\lceil f K \rceil` of K devices, ascending.

        Parameters
        ----------
        devices : sequence of int, length K
            Those that may be scored, ascending.
        draw : numpy.random.Generator
            What is drawn from: that of a round.
        """
        every = np.asarray(devices, dtype=np.int64)
        count = math.ceil(round(self.fraction * len(every), 9))
        return every if count == len(every) else np.sort(draw.choice(every, count, replace=False))
