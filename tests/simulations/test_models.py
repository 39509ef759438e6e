"""Models: what they take and give, and where their parameters come from."""

from __future__ import annotations

import math
from contextlib import nullcontext

import pytest
import torch

from p2pl_flower.errors import ConfigError
from simulations import models
from simulations.datasets import FACTS
from simulations.models import MODELS, build, check

FITTING = [(m, d) for m in MODELS.entries for d in FACTS if (m, d) != ("cnn", "digits")]


@pytest.mark.parametrize(("model", "dataset"), FITTING)
def test_from_images_to_logits(model, dataset):
    check(model, dataset)
    shape = FACTS[dataset].shape
    network = build(model, shape, 10, seed=0)
    assert network(torch.zeros(3, *shape)).shape == (3, 10)


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_sizes():
    assert count(build("mlp", (1, 28, 28), 10, 0)) == 784 * 200 + 200 * 200 + 200 * 10 + 410
    assert count(build("logistic", (1, 8, 8), 10, 0)) == 650


@pytest.mark.parametrize("model", MODELS.entries)
def test_parameters_are_a_function_of_the_seed_alone(model):
    one = build(model, (1, 28, 28), 10, seed=2**63 - 1)
    torch.manual_seed(5)
    two = build(model, (1, 28, 28), 10, seed=2**63 - 1)
    other = build(model, (1, 28, 28), 10, seed=1)
    for a, b, c in zip(one.parameters(), two.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.dim() == 1 or not torch.equal(a, c)  # normalization starts from ones


@pytest.mark.parametrize("model", MODELS.entries)
def test_the_global_random_state_is_left_alone(model):
    before = torch.random.get_rng_state()
    build(model, (1, 28, 28), 10, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("model", MODELS.entries)
def test_layers_draw_no_start_that_is_thrown_away_and_all_else_is_set(model, monkeypatch):
    ours = build(model, (3, 32, 32), 10, seed=1).state_dict()
    monkeypatch.setattr(models, "_Undrawn", nullcontext)
    for name, tensor in build(model, (3, 32, 32), 10, seed=1).state_dict().items():
        assert torch.equal(tensor, ours[name])


def test_initial_distribution():
    network = build("cnn", (1, 28, 28), 10, seed=1)
    for weight, bias, fan_in in (
        (network[0].weight, network[0].bias, 9),
        (network[3].weight, network[3].bias, 144),
        (network[7].weight, network[7].bias, 1568),
    ):
        bound = 1 / math.sqrt(fan_in)
        assert 0.9 * bound < weight.abs().max() <= bound
        assert bias.abs().max() <= bound
        assert abs(weight.std() / (bound / math.sqrt(3)) - 1) < 0.15


def test_cnn_needs_larger_images_than_digits():
    pattern = "model='cnn': needs images of 28x28 .* digits with 8x8; choose one of: logistic, mlp"
    with pytest.raises(ConfigError, match=pattern):
        check("cnn", "digits")
    with pytest.raises(ConfigError, match="these images of 8x8"):
        build("cnn", (1, 8, 8), 10, seed=0)


def test_unknown_names():
    with pytest.raises(ConfigError, match=r"model='mpl'.*choose one of: cnn, logistic, mlp"):
        check("mpl", "digits")
    with pytest.raises(ConfigError, match=r"dataset='digit'.*choose one of: cifar10, digits"):
        check("mlp", "digit")


def test_a_model_of_ones_own_is_drawn_from_the_seed_alone() -> None:
    check("own_things.Recurrent:width=4", "digits")
    one, same, other = (build("own_things.Recurrent:width=4", (1, 8, 8), 10, s) for s in (1, 1, 2))
    assert one.cell.hidden_size == 4
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not any(
        torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True)
    )
    with pytest.raises(ConfigError, match=r"own_things\.smallest': needs own|must make an inst"):
        check("own_things.smallest", "digits")


@pytest.mark.parametrize("model", MODELS.entries)
def test_what_a_network_draws_is_known_without_making_it(model):
    made = models.factory(model, (3, 32, 32), 10)
    drawn, own = made.drawn(7), build(model, (3, 32, 32), 10, seed=7).state_dict()
    assert list(drawn) == list(own)
    assert all(torch.equal(drawn[name], tensor) for name, tensor in own.items())
    assert all(torch.equal(t, own[name]) for name, t in made(7).state_dict().items())
