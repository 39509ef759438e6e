"""In which rounds models are scored: said once, for strategies, devices and simulators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config import Option, at_least

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

_EVERY, _LAST = "score-after-training-every", "score-after-training-also"


@dataclass(frozen=True)
class ScoredRounds:
    """The rounds in which models are scored.

    Attributes
    ----------
    every : int
        Models are scored in every n-th round, and in the last; 0 is never.
    last : int
        The last round.
    trained : bool
        Whether they are scored after training too, or only after consensus.
    """

    every: int
    last: int
    trained: bool = True

    def due(self, round_number: int) -> bool:
        """Return whether models are scored in a round."""
        return self.every > 0 and (round_number % self.every == 0 or round_number == self.last)

    def due_after_training(self, round_number: int) -> bool:
        """Return whether models are scored after the training of a round."""
        return self.trained and self.due(round_number)

    def to_config(self) -> dict[str, Any]:
        """Return what a train config says, for devices to score after training."""
        return {_EVERY: self.every, _LAST: self.last} if self.trained and self.every else {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ScoredRounds:
        """Read back what `to_config` put into a train config: never, where it says nothing."""
        every, last = (config.get(key, 0) for key in (_EVERY, _LAST))
        return cls(every if isinstance(every, int) else 0, last if isinstance(last, int) else 0)
