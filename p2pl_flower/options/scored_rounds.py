"""In which rounds models are scored: said once, for strategies, devices and simulators."""

from __future__ import annotations

from dataclasses import dataclass

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
