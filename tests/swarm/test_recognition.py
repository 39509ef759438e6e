"""Perceptrons are recognized however they are written, and nothing else is."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from plain import difference, swarm, train
from torch import nn
from torch.nn import functional

from p2pl_flower.swarm import Machine, TrainOptions
from p2pl_flower.swarm.perceptron.recognition import recognize

COUNTS = (11, 6, 9)
OPTIONS = TrainOptions(batch_size=4, learning_rate=0.1)
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.5)


def data(*shape: int):
    generator = torch.Generator().manual_seed(7)
    return [
        (
            torch.randn(n, *shape, generator=generator),
            torch.randint(0, 3, (n,), generator=generator),
        )
        for n in COUNTS
    ]


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 3)


class Written(Layers):
    def forward(self, x):
        return self.three(torch.relu(self.two(functional.relu(self.one(x), inplace=True))))


class Flattened(Layers):
    def forward(self, x):
        x = self.one(x.flatten(1)).tanh()
        return self.three(torch.sigmoid(self.two(x)))


class Viewed(Layers):
    def forward(self, x):
        x = functional.gelu(self.one(x.view(x.size(0), -1)))
        return self.three(functional.silu(self.two(x)))


class Reshaped(Layers):
    def forward(self, x):
        x = self.one(x.reshape(x.shape[0], -1)).relu()
        return self.three(self.two(x))


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Sequential(nn.Flatten(), nn.Linear(6, 5, bias=False), nn.LeakyReLU(0.2)),
            nn.Sequential(nn.Linear(5, 4), nn.GELU("tanh"), nn.Identity()),
        )
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.body(x))


def one_activation() -> nn.Module:
    relu = nn.ReLU()
    return nn.Sequential(nn.Linear(6, 6), relu, nn.Linear(6, 6), relu, nn.Linear(6, 3))


def two_activations() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.SiLU(), nn.Linear(6, 3))


FLAT, IMAGES = data(6), data(1, 2, 3)
PERCEPTRONS = {
    "written": (Written, FLAT),
    "flattened": (Flattened, IMAGES),
    "viewed": (Viewed, IMAGES),
    "reshaped": (Reshaped, IMAGES),
    "nested": (Nested, IMAGES),
    "one activation": (one_activation, FLAT),
    "two activations": (two_activations, FLAT),
    "one layer": (lambda: nn.Linear(6, 3), FLAT),
}


@pytest.mark.parametrize("case", PERCEPTRONS)
@pytest.mark.parametrize("width", [2, 60])  # the first layer's dual and plain forms
def test_a_perceptron_trains_as_it_would_alone(case, width, monkeypatch) -> None:
    monkeypatch.setattr("p2pl_flower.swarm.perceptron.rules.DUAL_UP_TO", width / 10)
    factory, samples = PERCEPTRONS[case]
    made = swarm(factory, samples, OPTIONS)
    assert made.block.path == "perceptron"
    assert difference(made, train(factory, samples, OPTIONS, SGD)) < 1e-5


class Skips(Layers):
    def forward(self, x):
        x = self.one(x)
        return self.three(self.two(x) + x[:, :4])


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.last = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.last(self.one(self.one(x)))


class Scaled(Written):
    def forward(self, x):
        return 2 * super().forward(x)


class Own(nn.Linear):
    def forward(self, x):
        return super().forward(x) + 1


def unused() -> nn.Module:
    made = Written()
    made.more = nn.Linear(2, 2)
    return made


def hooked() -> nn.Module:
    made = nn.Linear(6, 3)
    made.register_forward_hook(lambda module, args, output: output * 2)
    return made


def frozen() -> nn.Module:
    made = Written()
    made.one.bias.requires_grad_(False)
    return made


class Branches(Written):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else self.three(self.two(self.one(x)))


@pytest.mark.parametrize(
    "factory",
    [
        Skips,
        Twice,
        Scaled,
        unused,
        hooked,
        frozen,
        Branches,
        lambda: Own(6, 3),
        lambda: nn.Sequential(nn.Linear(6, 3), nn.LogSoftmax(1)),
        lambda: nn.Sequential(nn.Linear(6, 3), nn.ReLU()),
        lambda: nn.Sequential(nn.Tanh(), nn.Linear(6, 3)),
        lambda: nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3)),
        lambda: nn.Linear(6, 3).double(),
        lambda: nn.Sequential(),
    ],
)
def test_what_is_no_perceptron_is_not_taken_for_one(factory) -> None:
    assert recognize(factory()) is None


def test_samples_of_several_axes_need_a_flattening() -> None:
    sequences = [(x[:, None].repeat(1, 5, 1), y[:, None].repeat(1, 5)) for x, y in FLAT]
    made = swarm(Written, sequences, OPTIONS, machine=Machine(workers=1))
    assert made.block.path == "torch.func"


def dropout(p: float) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 50), nn.ReLU(), nn.Dropout(p), nn.Linear(50, 3))


def test_dropout_is_a_perceptron_s_too() -> None:
    one, two = (swarm(lambda: dropout(0.5), FLAT, OPTIONS) for _ in range(2))
    assert one.block.path == "perceptron"
    assert one.block.learners.draws
    models = [one.stack.model(k) for k in range(len(FLAT))]
    assert difference(two, models) == 0
    kept = train(lambda: dropout(0.0), FLAT, OPTIONS, SGD)
    assert difference(swarm(lambda: dropout(0.0), FLAT, OPTIONS), kept) < 1e-5
    assert difference(one, kept) > 1e-3


def test_dropout_s_gradient_is_that_of_what_passed() -> None:
    from p2pl_flower.swarm.perceptron.activations import Dropout

    x = torch.ones(4, 1000)
    outputs, mask = Dropout(0.25).train(x.clone())
    assert outputs.unique().tolist() == pytest.approx([0, 4 / 3])
    assert outputs.mean() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(Dropout(0.25).backward(torch.ones_like(x), mask), outputs)
    assert torch.equal(Dropout(0.25).evaluate(x), x)
