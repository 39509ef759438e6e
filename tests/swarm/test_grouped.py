"""Outputs of several devices' convolutional networks at once, against each network alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from p2pl_flower.swarm import TrainOptions
from p2pl_flower.swarm.grouped import TOGETHER, Grouped
from p2pl_flower.swarm.one_by_one import OneByOneLearner

DEVICES = TOGETHER + 2


def normalized() -> nn.Module:
    features = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Conv2d(4, 8, 3, 2, 1),
        nn.GroupNorm(2, 8),
        nn.ReLU(),
        nn.MaxPool2d(2, 1),
    )
    return nn.Sequential(features, nn.Flatten(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3))


def whole() -> nn.Module:
    conv = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 3, 1), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*conv, nn.Flatten())


def models(net) -> tuple[list[nn.Module], dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    nets = [net() for _ in range(DEVICES)]
    for own in nets:
        for part in own.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
    states = [own.eval().state_dict() for own in nets]
    return nets, {name: torch.stack([s[name] for s in states]) for name in states[0]}


@pytest.mark.parametrize("net", [normalized, whole])
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_every_device_has_the_outputs_that_it_has_alone(net, precision) -> None:
    nets, stacked = models(net)
    x = torch.randn(45, 3, 8, 8, dtype=precision)
    stacked = {n: t.to(precision) if t.is_floating_point() else t for n, t in stacked.items()}
    learner = OneByOneLearner(net().to(precision), TrainOptions())
    assert Grouped.suits(learner.template)
    before = x.clone()
    with torch.inference_mode():
        found = learner.outputs(stacked, learner.inputs(x))
        expected = torch.stack([own.to(precision)(x.clone()) for own in nets])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(x, before)


def _of(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), *layers, nn.Flatten())


TWICE = nn.Conv2d(2, 2, 1)


class Own(nn.Sequential):
    def forward(self, x):
        return super().forward(x) + 1


@pytest.mark.parametrize(
    "module",
    [
        _of(nn.ReLU()),  # one convolution has nothing beside it
        _of(TWICE, TWICE),
        _of(nn.Conv2d(2, 2, 1, groups=2)),
        _of(nn.Softmax(1), nn.Conv2d(2, 2, 1)),
        Own(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 1)),
    ],
)
def test_what_would_be_something_else_is_computed_alone(module) -> None:
    assert not Grouped.suits(module)
