"""Random layers and transforms, our own networks, and what cannot be trained."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from p2pl_flower.errors import ConfigError
from p2pl_flower.swarm import Machine, TrainOptions, simulate
from p2pl_flower.swarm.augmentation import Draw
from simulations import models


def data(devices: int = 3, features: int = 5):
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(7, features, generator=generator), torch.randint(0, 4, (7,)))
        for _ in range(devices)
    ]


class NoLogits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 4)

    def forward(self, x):
        return self.linear(x).sum()


class Several(NoLogits):
    def forward(self, x):
        return {"logits": self.linear(x)}


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (NoLogits, r"outputs must be logits of shape \(batch, classes\)"),
        (Several, "model='dict': returns several outputs, and the loss cross-entropy"),
        (lambda: nn.Linear(5, 4).requires_grad_(False), "has no parameter that is trained"),
        (lambda: nn.Linear(6, 4), r"forward of Linear fails on the training samples"),
    ],
)
def test_what_cannot_be_trained_is_named(factory, words) -> None:
    with pytest.raises(ConfigError, match=words):
        simulate(factory, data(), "ring", rounds=1, progress=False)


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.drop = nn.Linear(5, 4), nn.Dropout(0.5)

    def forward(self, x):
        return self.linear(self.drop(x))


def noisy_run(**rest):
    x, y = torch.ones(4, 5), torch.zeros(4, dtype=torch.int64)
    losses = []
    history = simulate(
        lambda seed: with_seed(0),
        [(x, y)] * 4,
        "ring",
        rounds=2,
        test=(x, y),
        progress=False,
        on_round=lambda r: losses.append(r.after_training.loss.std),
        **rest,
    )
    return history.runs[0], losses


def with_seed(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Noisy()


def test_dropout_differs_between_devices_and_not_between_runs() -> None:
    run, spread = noisy_run()
    assert spread[0] > 1e-4  # same data, same start: only the draws differ
    again, _ = noisy_run()
    assert [r.after_consensus for r in run.rounds] == [r.after_consensus for r in again.rounds]


def test_random_layers_leave_the_global_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    noisy_run(machine=Machine(chunk=2))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("model", "shape"), [("cnn", (1, 28, 28)), ("resnet20", (3, 32, 32))])
def test_our_own_networks_can_be_mapped(model, shape) -> None:
    own = [(torch.randn(3, *shape), torch.tensor([0, 1, 2])) for _ in range(3)]
    history = simulate(
        lambda seed: models.build(model, shape, 10, seed),
        own,
        "ring",
        rounds=1,
        test=own[0],
        progress=False,
    )
    assert history.runs[0].final().after_consensus.loss.mean < 10


def test_frozen_parameters_stay() -> None:
    def factory(seed: int) -> nn.Module:
        module = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4))
        nn.init.ones_(module[0].weight)
        module[0].weight.requires_grad_(False)
        return module

    from p2pl_flower.options import Options
    from p2pl_flower.swarm import Gossip, Job, Swarm
    from p2pl_flower.topology import schedule

    swarm = Swarm(
        Job(factory, data(), None, 2), Gossip(schedule("ring", 3, 0), Options(), [7, 7, 7])
    )
    swarm.run()
    assert torch.equal(swarm.stack.tensors["0.weight"], torch.ones(3, 6, 5))


def shaken(x, generator):
    return x + torch.randn(x.shape, generator=generator)


def shaken_one(x):
    return x + torch.randn(x.shape)


def with_transform(transform, machine, seed=0):
    from p2pl_flower.options import Options

    def factory(seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4))

    x, y = torch.ones(7, 5), torch.zeros(7, dtype=torch.int64)
    spread = []
    history = simulate(
        factory,
        [(x, y)] * 3,
        "ring",
        Options(seed=seed),
        TrainOptions(batch_size=3, transform=transform),
        rounds=2,
        test=(x, y),
        progress=False,
        machine=machine,
        on_round=lambda r: spread.append(r.after_training.loss.std),
    )
    return history.runs[0].final().after_consensus.loss.mean, spread


@pytest.mark.parametrize("transform", [shaken, shaken_one])
def test_transforms_are_drawn_for_each_device_whatever_the_way(transform) -> None:
    loss, spread = with_transform(transform, Machine(path="torch.func"))
    assert spread[0] > 1e-4  # same data, same start: only the draws differ
    for machine in (Machine(path="one by one"), Machine(chunk=1), Machine(chunk=2, workers=2)):
        assert with_transform(transform, machine)[0] == pytest.approx(loss, rel=1e-5)
    assert with_transform(transform, Machine(), seed=1)[0] != pytest.approx(loss, rel=1e-4)


def test_transforms_leave_the_global_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    with_transform(shaken_one, Machine())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_each_sample_has_its_own_draw_in_each_epoch() -> None:
    seen = []

    def note(x, generator):
        seen.append(float(torch.rand(1, generator=generator)))
        return x

    with_transform(note, Machine())
    trial, run = seen[:-18], seen[-18:]  # 3 devices, 2 rounds, 3 steps
    assert len(set(run)) == 18
    assert trial
    draws = {seed for epoch in range(2) for seed in Draw(0, 1, 1, epoch, 0, [4, 2]).of_samples()}
    assert len(draws) == 4
    assert (
        Draw(0, 1, 1, 0, 0, [4, 2]).of_samples() == Draw(0, 1, 1, 0, 5, [2, 4]).of_samples()[::-1]
    )


@pytest.mark.parametrize("transform", [lambda x, generator: x[:1], lambda x, generator: None])
def test_a_transform_that_loses_samples_is_refused(transform) -> None:
    with pytest.raises(ConfigError, match="must return a tensor of"):
        with_transform(transform, Machine())
