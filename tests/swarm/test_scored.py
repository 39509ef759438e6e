"""Scoring some of the devices, on some of the test samples."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from p2pl_flower.errors import ConfigError
from p2pl_flower.seeding import Stream, generator
from p2pl_flower.swarm import simulate
from p2pl_flower.swarm.scored import some

DEVICES, ROUNDS = 10, 3


def net() -> nn.Module:
    return nn.Linear(4, 3)


def run(**rest):
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(90, 4, generator=draw), torch.randint(0, 3, (90,), generator=draw)
    data = [(x[5 * k : 5 * k + 5], y[5 * k : 5 * k + 5]) for k in range(DEVICES)]
    return simulate(net, data, "ring", rounds=ROUNDS, test=(x[50:], y[50:]), progress=False, **rest)


def test_scores_are_those_of_the_drawn_devices_models() -> None:
    seen: list[tuple[int, ...]] = []

    def count(outputs, targets):
        seen.append(tuple(outputs.shape))
        return 0.0

    result = run(fraction_evaluate=0.25, max_test_samples=7, evaluate_trained=False, metrics=count)
    assert seen == [(7, 3)] * 3 * ROUNDS
    assert result.history.scenario["fraction-evaluate"] == 0.25
    assert result.history.scenario["max-test-samples"] == 7


def test_training_does_not_depend_on_who_is_scored() -> None:
    whole, part = run(), run(fraction_evaluate=0.2, max_test_samples=3)
    for name, tensor in whole.mean().items():
        assert torch.equal(tensor, part.mean()[name])


def test_test_samples_keep_their_targets() -> None:
    x = torch.arange(20.0)
    chosen, targets = some((x, x + 1), 6, generator(0, Stream.EVALUATE, 0))
    assert len(chosen) == 6
    assert torch.equal(chosen + 1, targets)
    assert some((x, x), 20, generator(0, Stream.EVALUATE, 0))[0] is x


@pytest.mark.parametrize("rest", [{"fraction_evaluate": 0}, {"max_test_samples": 0}])
def test_nobody_and_nothing_is_refused(rest) -> None:
    with pytest.raises(ConfigError, match=r"fraction-evaluate|max-test-samples"):
        run(**rest)


def test_a_metric_that_does_not_suit_is_refused_before_the_run() -> None:
    with pytest.raises(ConfigError, match=r"metrics='mse': does not suit outputs of shape"):
        run(metrics="top-k:k=2+mse")
