"""What algorithms with momentum on whole rounds have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .base import Algorithm, Arrays, State, Training, each, zeros_like


@dataclass(frozen=True)
class OuterMomentum(Algorithm):
    r"""An outer step from where the round began, w, towards an average and on in its direction.

    .. math:: w_k^{t+1} = w_k^t + r (\tilde w_k - w_k^t) + \mu (w_k^t - w_k^{t-1})

    from rest. Each consensus step makes it anew from the same w, and the round's last one stays.
    """

    def start(self, model: Arrays, shape: tuple[int, ...]) -> State:
        """Begin at rest."""
        return {"begun": model, "moved": zeros_like(model)}

    def before_training(self, model: Arrays, state: State) -> Training:
        """Note where the round begins, and how far the round before moved the device."""
        moved = each(lambda w, before: w - before, model, state["begun"])
        return Training(model, None, {"begun": model, "moved": moved})

    @property
    def looks_back(self) -> bool:
        """No: what was sent is not compared with what came of it."""
        return False


def outer_step(state: State, average: Arrays, rate: float, momentum: float) -> Arrays:
    """Return where the outer step leads, with rate r and momentum mu."""

    def step(w: Any, mean: Any, moved: Any) -> Any:
        on = mean + momentum * moved
        return on if rate == 1 else on + (rate - 1) * (mean - w)

    return each(step, state["begun"], average, state["moved"])
