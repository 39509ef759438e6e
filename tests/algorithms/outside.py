"""Algorithms of somebody else: one mixes by no weighted sum, one sends and keeps more arrays."""

from __future__ import annotations

from dataclasses import dataclass

from p2pl_flower.algorithms import (
    Algorithm,
    Mixed,
    Sending,
    Training,
    each,
    zeros_like,
)


@dataclass(frozen=True)
class Clipped(Algorithm):
    """No number moves by more than the radius towards a neighbor's."""

    name = "clipped"
    radius: float = 0.01

    def combine(self, own, received, row, gamma):
        for j in sorted(received):
            pulls = each(lambda m, w: (m - w).clip(-self.radius, self.radius), received[j], own)
            own = each(lambda w, pull, a=gamma * row[j]: w + a * pull, own, pulls)
        return own


@dataclass(frozen=True)
class Tracking(Algorithm):
    """Devices also average how far training moves them: gradient tracking on whole rounds.

    y = y_mixed + moved - moved_before; what is sent is w + y, and y.
    """

    name = "tracking"
    mark = "tracker of "

    def start(self, model, shape):
        zeros = zeros_like(model)
        return {"tracker": zeros, "moved": zeros}

    def before_training(self, model, state):
        return Training(model, None, {**state, "begun": model})

    def after_training(self, trained, state):
        moved = each(lambda new, old: new - old, trained, state["begun"])
        tracker = each(
            lambda y, now, before: y + now - before, state["tracker"], moved, state["moved"]
        )
        sent = each(lambda w, y: w + y, state["begun"], tracker)
        message = {**sent, **{f"{self.mark}{name}": array for name, array in tracker.items()}}
        return Sending(message, {"tracker": tracker, "moved": moved})

    def after_mixing(self, sent, mixed, state, gamma):
        model = {n: a for n, a in mixed.items() if not n.startswith(self.mark)}
        tracker = {n: mixed[f"{self.mark}{n}"] for n in model}
        return Mixed(model, {**state, "tracker": tracker})
