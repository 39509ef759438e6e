"""What one run says: its scored rounds, how it ended, and whether it diverged."""

from __future__ import annotations

import math
import statistics

from p2pl_flower.history import Run, Scores, Spread

_LOST = 0.5
"""A run that ends below this share of the best accuracy it had has diverged."""


def curve(run: Run, trained: bool = False) -> list[tuple[int, Spread]]:
    """Return the accuracies of the scored rounds, after consensus or after training."""
    scored: list[tuple[int, Scores | None]] = [
        (r.round, r.after_training if trained else r.after_consensus) for r in run.rounds
    ]
    return [(number, s.accuracy) for number, s in scored if s is not None and s.accuracy]


def final(run: Run) -> Spread:
    """Return the accuracy over devices after the last consensus."""
    return curve(run)[-1][1]


def diverged(run: Run) -> bool:
    """Tell whether a run ended with a loss that is no number, or lost what it had learned.

    It has lost it where the devices' mean accuracy ends below half of the best that it had.
    """
    scores = run.final().after_consensus
    loss = scores.loss.mean if scores and scores.loss else 0.0
    lost = final(run).mean < _LOST * max(spread.mean for _, spread in curve(run))
    return loss is None or not math.isfinite(loss) or lost


def rounds_to(run: Run, accuracy: float) -> int:
    """Return the first scored round in which the devices' mean reaches an accuracy.

    A run that does not reach it counts as one round longer than it was.
    """
    reached = (number for number, spread in curve(run) if spread.mean >= accuracy)
    return next(reached, len(run.rounds) + 1)


def swing(run: Run) -> float | None:
    """Return how far accuracy rises from after training to after consensus, a fraction of 1.

    It is the devices' mean, in the mean over the second half of the scored rounds: in the first
    ones everything rises. None where models were not scored twice.
    """
    before, after = dict(curve(run, trained=True)), dict(curve(run))
    risen = [after[n].mean - before[n].mean for n in before if n in after]
    return statistics.fmean(risen[len(risen) // 2 :]) if risen else None
