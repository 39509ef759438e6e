"""Buffers that training changes, in ``state_dict`` or not, against plain PyTorch."""

from __future__ import annotations

import pytest
import torch
from plain import difference, seeded, swarm
from torch import nn
from torch.nn.functional import cross_entropy

from p2pl_flower.errors import ConfigError
from p2pl_flower.seeding import batch_order
from p2pl_flower.swarm import Machine, TrainOptions

OPTIONS = TrainOptions(batch_size=3, learning_rate=0.1, momentum=0.0)


class Counting(nn.Module):
    """Its outputs follow from how often, and on what, it has been trained."""

    def __init__(self, rebinds: bool, persistent: bool) -> None:
        super().__init__()
        self.linear, self.rebinds = nn.Linear(4, 3), rebinds
        self.register_buffer("seen", torch.zeros(4), persistent=persistent)

    def forward(self, x):
        if self.training and self.rebinds:
            self.seen = self.seen + x.detach().mean(0)
        elif self.training:
            self.seen.add_(x.detach().mean(0))
        return self.linear(x + self.seen)


class Own(nn.Module):
    """Keeps its steps in a tensor that is no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.steps = nn.Linear(4, 3), torch.zeros(())

    def forward(self, x):
        self.steps.add_(x.detach().mean())
        return self.linear(x)


class Overwriting(nn.Module):
    """Changes what its gradient needs."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        return self.linear(x).exp().mul_(2)


def make():
    draw = torch.Generator().manual_seed(2)
    return [
        (torch.randn(n, 4, generator=draw), torch.randint(0, 3, (n,), generator=draw))
        for n in (7, 9, 4)
    ]


def as_clients_do(factory, data):
    """Return the models after two rounds in which each device makes its module anew."""
    found = []
    for device, (x, y) in enumerate(data):
        state = seeded(factory, device).state_dict()
        for number in (1, 2):
            net = factory().train()
            net.load_state_dict(state)
            order = torch.from_numpy(batch_order(0, device, number, 0, len(y)))
            for part in torch.split(order, OPTIONS.batch_size):
                for parameter in net.parameters():
                    parameter.grad = None
                cross_entropy(net(x[part]), y[part]).backward()
                with torch.no_grad():
                    for parameter in net.parameters():
                        parameter -= OPTIONS.learning_rate * parameter.grad
            state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        found.append(state)
    return found


@pytest.mark.parametrize("path", [None, "one by one"])
@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("rebinds", [True, False])
def test_buffers_are_as_in_a_client_that_makes_its_module_anew(rebinds, persistent, path) -> None:
    def factory():
        return Counting(rebinds, persistent)

    made = swarm(factory, make(), OPTIONS, machine=Machine(workers=1, path=path))
    assert difference(made, as_clients_do(factory, make())) < 1e-6
    assert made.block.path == ("one by one" if rebinds else path or "torch.func")


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (lambda: Counting(True, True), "binds the buffer 'seen' anew"),
        (lambda: Counting(True, False), "binds the buffer 'seen' anew"),
        (Own, "no parameter and no buffer: make it one by register_buffer"),
        (Overwriting, "it changes in place what its gradients need"),
    ],
)
def test_what_a_mapped_call_does_not_see_is_named(factory, words) -> None:
    with pytest.raises(ConfigError, match=words):
        swarm(factory, make(), OPTIONS, machine=Machine(workers=1, path="torch.func"))


def test_the_backward_pass_is_not_taken_for_the_loss() -> None:
    with pytest.raises(ConfigError, match="it changes in place what its gradients need; use oper"):
        swarm(Overwriting, make(), OPTIONS)
