"""Modules of every kind against plain PyTorch, device by device."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from plain import difference, swarm, train
from torch import nn

from p2pl_flower.errors import ConfigError
from p2pl_flower.swarm import Machine, TrainOptions

COUNTS = (11, 6, 9)  # batches of 4, of which the last have 3, 2 and 1 samples
OPTIONS = TrainOptions(batch_size=4, learning_rate=0.1)
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.5)
CLASSES = 3


def vectors(*shape: int, counts=COUNTS, classes: int = CLASSES):
    generator = torch.Generator().manual_seed(4)
    return [
        (
            torch.randn(n, *shape, generator=generator),
            torch.randint(0, classes, (n,), generator=generator),
        )
        for n in counts
    ]


def tokens(length: int = 5, words: int = 11):
    generator = torch.Generator().manual_seed(4)
    draw = partial(torch.randint, generator=generator)
    return [(draw(0, words, (n, length)), draw(0, CLASSES, (n,))) for n in COUNTS]


class Recurrent(nn.Module):
    kind: type[nn.RNNBase] = nn.LSTM

    def __init__(self) -> None:
        super().__init__()
        self.cells = self.kind(6, 8, num_layers=2, batch_first=True, bidirectional=True)
        self.last = nn.Linear(16, CLASSES)

    def forward(self, x):
        return self.last(self.cells(x)[0][:, -1])


class Gru(Recurrent):
    kind = nn.GRU


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 8, max_norm=1.0, padding_idx=0)
        self.last = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.last(self.words(x).mean(1))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)
        self.last = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.last(self.layers(self.words(x)).mean(1))


class Tied(nn.Module):
    """One weight under three names, in a layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 6)
        self.two.weight = self.one.weight
        self.again = self.one.weight
        self.last = nn.Linear(6, CLASSES)

    def forward(self, x):
        x = torch.tanh(self.two(torch.tanh(self.one(self.one(x)))))
        return self.last(x @ self.again)


class Shared(nn.Module):
    """One submodule on two paths."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
        self.other = nn.Module()
        self.other.encoder = self.encoder
        self.last = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.last(self.other.encoder(self.encoder(x)))


def repeated() -> nn.Module:
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(6, CLASSES))


def frozen() -> nn.Module:
    made = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, CLASSES))
    made[0].requires_grad_(False)
    return made


class Counting(nn.Module):
    """Buffers that training changes: in place, by assignment, and one that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, CLASSES)
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("last", torch.zeros(6))
        self.register_buffer("scale", torch.full((6,), 0.5), persistent=False)

    def forward(self, x):
        if self.training:
            self.seen.add_(1.0)
            self.last.copy_(x.detach().mean(0))
        return self.linear(x * self.scale)


class Running(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)
        self.last = nn.Linear(4 * 6 * 6, CLASSES)

    def forward(self, x):
        return self.last(self.norm(self.conv(x)).relu().flatten(1))


class Instance(Running):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)


class OverBatch(nn.Module):
    """What a sample gives depends on the others of its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.linear(x - x.mean(0))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, CLASSES)

    def forward(self, x):
        y = self.linear(x)
        return y if y.sum() > 0 else -y


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = Branches(), nn.Linear(CLASSES, CLASSES)

    def forward(self, x):
        return self.last(self.inner(x))


class Item(Branches):
    def forward(self, x):
        return self.linear(x) * float(x.max())


class Shapes(Branches):
    def forward(self, x):
        return self.linear(x)[:, : torch.nonzero(x).shape[0]]


class Assigned(Branches):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen = self.seen + float(x.shape[0])
        return self.linear(x)


def averaged() -> nn.Module:
    """Return a module whose running statistics depend on a counter's value."""
    norm = nn.BatchNorm1d(6, momentum=None)
    return nn.Sequential(nn.Linear(6, 6), norm, nn.Linear(6, CLASSES))


IMAGES = vectors(2, 8, 8, counts=(8, 10, 6))
SERIES = vectors(5, 6)
CASES = {
    "lstm": (Recurrent, SERIES, "one by one"),
    "gru": (Gru, SERIES, "one by one"),
    "embedding": (Words, tokens(), "one by one"),
    "attention": (Attention, tokens(), "one by one"),
    "tied": (Tied, vectors(6), "torch.func"),
    "shared": (Shared, vectors(6), "torch.func"),
    "repeated": (repeated, vectors(6), "torch.func"),
    "frozen": (frozen, vectors(6), "torch.func"),
    "buffers": (Counting, vectors(6), "torch.func"),
    "batchnorm": (Running, IMAGES, "one by one"),
    "instancenorm": (Instance, IMAGES, "one by one"),
    "over the batch": (OverBatch, vectors(6), "torch.func"),
    "perceptron": (
        lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, CLASSES)),
        vectors(6),
        "perceptron",
    ),
}
MAPPED_ON_DEMAND = ("lstm", "gru", "embedding", "attention", "batchnorm", "perceptron")
UNMAPPED = {
    "branches": (Outer, r"submodule 'inner' \(Branches\) cannot be mapped .* use torch.where"),
    "item": (Item, r"forward of Item cannot be mapped .* tensor operations instead of .item\(\)"),
    "shapes": (Shapes, "replace it by layers that torch.func can map"),
    "average": (averaged, r"submodule '1' \(BatchNorm1d\)"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_module_trains_as_it_would_alone(case, dtype) -> None:
    factory, data, path = CASES[case]
    check(
        factory,
        data,
        path if dtype == torch.float32 or path == "one by one" else "torch.func",
        dtype,
    )


@pytest.mark.parametrize("case", CASES)
def test_every_module_can_be_trained_one_by_one(case) -> None:
    factory, data, _ = CASES[case]
    check(factory, data, "one by one", asked="one by one")


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("case", MAPPED_ON_DEMAND)
def test_modules_that_are_quicker_one_by_one_can_be_mapped(case) -> None:
    factory, data, _ = CASES[case]
    check(factory, data, "torch.func", asked="torch.func")


@pytest.mark.parametrize("case", UNMAPPED)
def test_what_cannot_be_mapped_is_trained_one_by_one(case, caplog) -> None:
    factory, words = UNMAPPED[case]
    data = vectors(6, counts=(8, 4, 6))
    check(factory, data, "one by one")
    [record] = caplog.records
    assert "one device after the other, which takes small models several times" in record.message
    with pytest.raises(ConfigError, match=words) as caught:
        swarm(factory, data, OPTIONS, machine=Machine(path="torch.func"))
    assert caught.value.rule in record.message


def check(factory, data, path, dtype=torch.float32, asked=None) -> None:
    """Compare all devices' models after two rounds, buffers too."""
    make = lambda: factory().to(dtype)  # noqa: E731
    own = [(x.to(dtype) if x.is_floating_point() else x, y) for x, y in data]
    made = swarm(make, own, OPTIONS, machine=Machine(workers=1, path=asked))
    assert made.block.path == path
    assert all(t.dtype in (dtype, torch.int64) for t in made.stack.tensors.values())
    apart = difference(made, train(make, own, OPTIONS, SGD))
    assert apart < (1e-6 if dtype == torch.float32 else 1e-12)


def test_buffers_that_are_assigned_are_kept() -> None:
    check(Assigned, vectors(6), "one by one", asked="one by one")


def test_a_batch_of_one_that_batch_normalization_cannot_take_is_named() -> None:
    words = r"submodule '1' \(BatchNorm1d\) .* more than 1 value per channel"
    factory = lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))  # noqa: E731
    with pytest.raises(ConfigError, match=words):
        swarm(factory, vectors(6, counts=(8, 9, 8)), OPTIONS)


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.LazyLinear(8), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.first(x).relu())


def test_lazy_modules_are_named_and_take_shape_in_the_factory() -> None:
    with pytest.raises(ConfigError, match=r"submodule 'first' \(LazyLinear\) is lazy"):
        swarm(Lazy, vectors(6), OPTIONS)

    def factory() -> nn.Module:
        made = Lazy()
        made(torch.zeros(1, 6))
        return made

    check(factory, vectors(6), "perceptron")


@pytest.mark.parametrize("path", ["torch.func", "one by one"])
def test_half_precision_is_that_of_autocast(path) -> None:
    kinds = set()

    def loss(outputs, targets):
        kinds.add(outputs.dtype)
        return nn.functional.cross_entropy(outputs, targets)

    half = TrainOptions(batch_size=4, learning_rate=0.1, train_precision="bfloat16", loss=loss)
    made = swarm(Shared, vectors(6), half, rounds=1, machine=Machine(workers=1, path=path))
    assert torch.bfloat16 in kinds
    expected = train(Shared, vectors(6), OPTIONS, SGD, rounds=1)
    assert 1e-4 < difference(made, expected) < 0.05
