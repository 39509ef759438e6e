"""What an algorithm keeps in the swarm lies apart from all that changes under it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from p2pl_flower.algorithms import Algorithm, Mixed, Training, each
from p2pl_flower.algorithms.mixing import Weighted
from p2pl_flower.swarm.hooks import Hooks
from p2pl_flower.swarm.stack import Stack


@dataclass(frozen=True)
class Twice(Algorithm):
    """Keeps one new array under two names, and the model as it is."""

    name = "twice"

    def before_training(self, model, state):
        doubled = each(lambda w: 2 * w, model)
        return Training(model, None, {"a": doubled, "b": doubled, "model": model})

    def after_mixing(self, sent, mixed, state, gamma):
        return Mixed(mixed, state)


def after_training() -> Hooks:
    """Return the hooks of weights 1, 2 and 3 that training has made 11, 12 and 13."""
    stack = Stack(nn.Linear(1, 1, bias=False), 3, "cpu")
    weight = stack.tensors["weight"]
    weight.copy_(torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1))
    hooks = Hooks(Twice(), stack, Weighted())
    hooks.start()
    hooks.before_training(np.arange(3))
    weight += 10
    return hooks


def test_what_is_kept_shares_its_numbers_with_nothing() -> None:
    hooks = after_training()
    hooks.state["a"]["weight"][0] = -1
    assert hooks.state["b"]["weight"].flatten().tolist() == [2, 4, 6]
    assert hooks.state["model"]["weight"].flatten().tolist() == [1, 2, 3]


def test_devices_that_are_away_keep_what_they_had() -> None:
    hooks = after_training()
    hooks.before_training(np.array([0, 2]))
    assert hooks.state["a"]["weight"].flatten().tolist() == [22, 4, 26]
    assert hooks.state["model"]["weight"].flatten().tolist() == [11, 2, 13]
