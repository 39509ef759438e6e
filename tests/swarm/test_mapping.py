"""What the swarm can train, and what it says of what it cannot."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from p2pl_flower.errors import ConfigError
from p2pl_flower.swarm import Machine, simulate
from simulations import models


def data(devices: int = 3, features: int = 5):
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(7, features, generator=generator), torch.randint(0, 4, (7,)))
        for _ in range(devices)
    ]


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 4)

    def forward(self, x):
        y = self.linear(x)
        return y if y.sum() > 0 else -y


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = Branches(), nn.Linear(4, 4)

    def forward(self, x):
        return self.last(self.inner(x))


class Item(Branches):
    def forward(self, x):
        return self.linear(x) * float(x.max())


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 4)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen.add_(1.0)
        return self.linear(x)


class Shapes(Branches):
    def forward(self, x):
        return self.linear(x)[:, : torch.nonzero(x).shape[0]]


class NoLogits(Branches):
    def forward(self, x):
        return self.linear(x).sum()


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (
            lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)),
            r"submodule '1' \(BatchNorm1d\) .* running statistics .* nn.GroupNorm",
        ),
        (
            lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, track_running_stats=False)),
            "normalizes over the batch",
        ),
        (Outer, r"submodule 'inner' \(Branches\) cannot be mapped .* use torch.where"),
        (Item, r"forward of Item cannot be mapped .* tensor operations instead of .item\(\)"),
        (Counts, "changes its buffer 'seen' in training"),
        (Shapes, "replace it by layers that torch.func can map, or use the Flower engine"),
        (NoLogits, r"outputs must be logits of shape \(batch, classes\)"),
    ],
)
def test_what_cannot_be_mapped_is_named(factory, words) -> None:
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
