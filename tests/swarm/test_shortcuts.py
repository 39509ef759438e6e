"""Modules that take fewer passes over memory, against themselves as they were."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from p2pl_flower.swarm.shortcuts import take_shortcuts

LAST = torch.channels_last


def nets() -> list[nn.Module]:
    relu = nn.ReLU()
    return [
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, 1), nn.GroupNorm(2, 4)),
        nn.Sequential(nn.Conv2d(3, 3, 3), relu, relu, nn.MaxPool2d(3, 2, 1), nn.Tanh(), nn.ReLU()),
        nn.Sequential(nn.Conv2d(3, 4, 2), nn.MaxPool2d(2), nn.MaxPool2d(2, ceil_mode=True)),
    ]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("train", [True, False])
def test_outputs_and_gradients_stay(number: int, train: bool) -> None:
    torch.manual_seed(number)
    plain = nets()[number].to(memory_format=LAST).train(train)
    quick = copy.deepcopy(plain)
    take_shortcuts(quick)
    x = torch.randn(5, 3, 10, 10).contiguous(memory_format=LAST)
    with torch.no_grad():
        assert torch.equal(quick(x), plain(x))
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for net, own in zip((plain, quick), inputs, strict=True):
        net(own).square().sum().backward()
    assert torch.equal(inputs[0].grad, inputs[1].grad)
    for one, two in zip(plain.parameters(), quick.parameters(), strict=True):
        assert torch.equal(one.grad, two.grad)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_maxima_of_what_is_no_number_stay(value: float) -> None:
    pool = nn.Sequential(nn.MaxPool2d(2))
    quick = copy.deepcopy(pool)
    take_shortcuts(quick)
    x = torch.randn(2, 8, 4, 6).contiguous(memory_format=LAST)
    x[0, 3, 1, 2] = value
    with torch.no_grad():
        torch.testing.assert_close(quick(x), pool(x), rtol=0, atol=0, equal_nan=True)


def test_nothing_that_others_see_is_overwritten() -> None:
    shared, seen = nn.ReLU(), []
    hooked = nn.Conv2d(1, 2, 3)
    hooked.register_forward_hook(lambda module, given, outputs: seen.append(outputs))
    net = nn.Sequential(nn.Conv2d(1, 1, 3), shared, nn.Sequential(nn.ReLU(), shared), hooked)
    net.append(nn.ReLU())
    take_shortcuts(net)
    assert not any(part.inplace for part in net.modules() if isinstance(part, nn.ReLU))
    net(torch.randn(1, 1, 8, 8))
    assert (seen[0] < 0).any()


def test_relu_after_a_layer_overwrites() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    take_shortcuts(net)
    assert net[1].inplace
