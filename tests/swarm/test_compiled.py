"""Compiled steps against the same steps as they are."""

from __future__ import annotations

import pytest
import torch
from plain import swarm
from torch import nn

from p2pl_flower.errors import ConfigError
from p2pl_flower.swarm import Machine, TrainOptions


class Tiny(nn.Module):
    """A part of a transformer, in small, with a frozen embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(8, 4).requires_grad_(False)
        self.norm, self.wide, self.last = nn.LayerNorm(4), nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.last(nn.functional.gelu(self.wide(self.norm(self.words(x)))).mean(1))


def make(*counts):
    draw = torch.Generator().manual_seed(4)
    return [
        (torch.randint(0, 8, (n, 5), generator=draw), torch.randint(0, 3, (n,), generator=draw))
        for n in counts
    ]


def perceptron():
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))


def dropping():
    return nn.Sequential(nn.Embedding(8, 4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(20, 3))


@pytest.mark.slow
@pytest.mark.parametrize("path", ["torch.func", "one by one"])
def test_compiled_steps_give_the_same_numbers(path) -> None:
    options = TrainOptions(batch_size=4, learning_rate=0.1, optimizer="adamw")
    data = make(9, 8, 4, 11)
    plain, compiled = (
        swarm(Tiny, data, options, machine=Machine(path=path, compile=compiled, workers=1))
        for compiled in (False, True)
    )
    assert plain.block.compile_seconds == 0 < compiled.block.compile_seconds
    for name, tensor in plain.stack.tensors.items():
        torch.testing.assert_close(compiled.stack.tensors[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("factory", "batch_size", "words"),
    [
        (perceptron, 4, "the perceptron's path has no step to compile; leave it out, or give path"),
        (dropping, 4, r"training draws random numbers \(dropout, say\), and compiled steps draw"),
        (Tiny, 20, "only full mini-batches are compiled, and no device has 20 samples"),
    ],
)
def test_what_cannot_be_compiled_to_the_same_numbers_is_refused(factory, batch_size, words) -> None:
    data = make(9, 8)
    if factory is perceptron:
        data = [(x.float(), y) for x, y in data]
    options = TrainOptions(batch_size=batch_size)
    with pytest.raises(ConfigError, match=f"compile=True: {words}"):
        swarm(factory, data, options, machine=Machine(compile=True, workers=1))


@pytest.mark.parametrize("path", ["torch.func", "one by one"])
def test_full_mini_batches_alone_are_given_to_what_is_compiled(path, monkeypatch) -> None:
    given: list[int] = []

    def compile_nothing(function, **_):
        def step(*arguments):
            given.append(arguments[-1].numel())
            return function(*arguments)

        return step

    monkeypatch.setattr(torch, "compile", compile_nothing)
    options = TrainOptions(batch_size=4)
    swarm(Tiny, make(9, 9), options, rounds=1, machine=Machine(path=path, compile=True, workers=1))
    # on trial, one step of both devices; then two of each, and the last sample is left over
    together = path == "torch.func"
    assert given == ([8, 8, 8] if together else [4, 4, 4, 4, 4, 4])
