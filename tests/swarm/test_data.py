"""Targets and inputs of every kind, losses and metrics, against plain PyTorch."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from plain import difference, swarm, train
from torch import nn
from torch.nn import functional

from p2pl_flower.errors import ConfigError, P2PLError
from p2pl_flower.history import History
from p2pl_flower.swarm import Machine, TrainOptions, simulate
from p2pl_flower.swarm.metrics import metrics_of

COUNTS = (7, 9, 4)
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.5)
PATHS = ("torch.func", "one by one")


def linear() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 3))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def make(*shape: int, targets):
    """Return samples; ``targets`` makes those of n of them from a generator."""
    generator = torch.Generator().manual_seed(5)
    return [(torch.randn(n, *shape, generator=generator), targets(n, generator)) for n in COUNTS]


def classes(n, generator):
    return torch.randint(0, 3, (n,), generator=generator)


def numbers(*shape):
    return lambda n, generator: torch.randn(n, *shape, generator=generator)


class Sequences(nn.Module):
    """Logits for each token, the classes last, as language models have them."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.last = nn.Embedding(6, 4), nn.Linear(4, 6)

    def forward(self, x):
        return self.last(torch.tanh(self.words(x)))


class Pixels(nn.Module):
    """Logits for each pixel, the classes on axis 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


def by_token(outputs, targets):
    return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def squares_of_each(outputs, targets):
    return (outputs - targets).square().mean(1)


def tokens(n, generator):
    found = torch.randint(0, 6, (n, 5), generator=generator)
    found[:, 0] = -100
    return found


SEQUENCES = [(torch.randint(0, 6, y.shape), y) for _, y in make(1, targets=tokens)]
CASES = {
    "mse": (linear, make(6, targets=numbers(3)), "mse", functional.mse_loss),
    "mae": (linear, make(6, targets=numbers(3)), "mae", functional.l1_loss),
    "huber": (linear, make(6, targets=numbers(3)), "huber", functional.huber_loss),
    "bce": (
        linear,
        make(6, targets=lambda n, g: torch.rand(n, 3, generator=g).round()),
        "bce",
        functional.binary_cross_entropy_with_logits,
    ),
    "probabilities": (
        linear,
        make(6, targets=lambda n, g: torch.rand(n, 3, generator=g).softmax(1)),
        "cross-entropy",
        functional.cross_entropy,
    ),
    "weighted": (
        linear,
        make(6, targets=classes),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 2.0]), label_smoothing=0.1),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 2.0]), label_smoothing=0.1),
    ),
    "tokens": (Sequences, SEQUENCES, "cross-entropy", by_token),
    "pixels": (
        Pixels,
        make(1, 4, 4, targets=lambda n, g: torch.randint(0, 3, (n, 4, 4), generator=g)),
        "cross-entropy",
        functional.cross_entropy,
    ),
    "values for each": (
        linear,
        make(6, targets=numbers(3)),
        squares_of_each,
        lambda o, t: squares_of_each(o, t).mean(),
    ),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", CASES)
def test_every_loss_trains_as_it_would_alone(case, path) -> None:
    factory, data, loss, plain = CASES[case]
    options = TrainOptions(batch_size=4, learning_rate=0.1, loss=loss)
    made = swarm(factory, data, options, machine=Machine(workers=1, path=path))
    assert difference(made, train(factory, data, options, SGD, loss=plain)) < 1e-6


def final(factory, data, test=None, **rest):
    """Return the scores of the end of a short run."""
    rest = {"training": TrainOptions(batch_size=4), **rest}
    history = simulate(factory, data, "ring", rounds=1, test=test, progress=False, **rest)
    return history.runs[0].final().after_consensus


REFERENCE = make(6, targets=classes)
CONVERTED = {
    "float64 inputs": lambda x, y: (x.double(), y),
    "float64 arrays": lambda x, y: (x.numpy().astype(np.float64), y.numpy()),
    "lists": lambda x, y: (x.tolist(), y.tolist()),
    "uint8 labels": lambda x, y: (x, y.byte()),
    "int32 labels": lambda x, y: (x, y.int()),
    "whole float labels": lambda x, y: (x, y.double()),
    "one-column labels": lambda x, y: (x, y[:, None]),
}


@pytest.mark.parametrize("factory", [linear, perceptron])
@pytest.mark.parametrize("how", CONVERTED)
def test_what_is_plainly_meant_is_converted(factory, how) -> None:
    expected = final(factory, REFERENCE, REFERENCE[0])
    found = final(
        factory, [CONVERTED[how](*pair) for pair in REFERENCE], CONVERTED[how](*REFERENCE[0])
    )
    assert found.loss.mean == pytest.approx(expected.loss.mean, rel=1e-5)
    assert found.accuracy == expected.accuracy


def test_integer_images_are_as_they_are() -> None:
    x = torch.randint(0, 255, (8, 6), dtype=torch.uint8)
    y = torch.randint(0, 3, (8,))
    found = final(perceptron, [(x, y)] * 3, (x, y))
    expected = final(perceptron, [(x.float(), y)] * 3, (x.float(), y))
    assert found == expected


def test_a_model_that_converts_its_inputs_itself_gets_them_as_they_are() -> None:
    kinds = set()

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 3)

        def forward(self, x):
            kinds.add(x.dtype)
            return self.linear(x.float() / 255)

    x = torch.randint(0, 255, (8, 6), dtype=torch.uint8)
    final(Own, [(x, torch.zeros(8, dtype=torch.int64))] * 3, (x, torch.zeros(8).long()))
    assert kinds == {torch.uint8}


@pytest.mark.parametrize(
    ("shape", "wanted"), [((), (1,)), ((1,), ()), ((1, 2), (2,)), ((2,), (2,))]
)
def test_targets_take_the_shape_of_the_outputs(shape, wanted) -> None:
    class Regression(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, max(1, *wanted, 1))

        def forward(self, x):
            return self.linear(x).reshape(len(x), *wanted)

    data = make(6, targets=numbers(*shape))
    reshaped = [(x, y.reshape(len(y), *wanted)) for x, y in data]
    options = TrainOptions(batch_size=4, learning_rate=0.1, loss="mse")
    double = [(x.double(), y.double()) for x, y in data]
    made = swarm(Regression, double, options)
    expected = train(Regression, reshaped, options, SGD, loss=functional.mse_loss)
    assert difference(made, expected) < 1e-6


X, Y = REFERENCE[0]


@pytest.mark.parametrize(
    ("pair", "loss", "words"),
    [
        ((X, Y + 1), "cross-entropy", "data='labels from . to 3': labels must be from 0 to 2"),
        ((X, Y - 1), "cross-entropy", "labels must be from 0 to 2, for the model has 3 outputs"),
        ((X, Y + 0.5), "cross-entropy", "whole numbers, from 0, or probabilities"),
        ((X, torch.stack([Y, Y], 1)), "cross-entropy", r"labels must have the shape \('n',\)"),
        ((X, X), "mse", r"targets must have the shape \('n', 3\), that of the model's outputs"),
        ((X[:, :5], Y), "cross-entropy", r"submodule '0' \(Linear\) fails on the training samples"),
        ((X, Y[:-1]), "cross-entropy", "must have as many labels as inputs"),
        ((X[:0], Y[:0]), "cross-entropy", "must have as many labels as inputs, and one at least"),
        ((X, 3), "cross-entropy", "must have as many labels as inputs"),
    ],
)
def test_what_is_not_plain_is_refused(pair, loss, words) -> None:
    with pytest.raises(ConfigError, match=words):
        final(linear, [pair] * 3, training=TrainOptions(loss=loss))


def test_devices_whose_samples_differ_in_shape_are_named() -> None:
    with pytest.raises(ConfigError, match=r"inputs of shape \(5,\) .* on device 1.*device 0 has"):
        final(linear, [(X, Y), (X[:, :5], Y), (X, Y)])


def test_a_test_set_that_does_not_fit_is_named() -> None:
    with pytest.raises(ConfigError, match=r"test='labels from . to 3'"):
        final(linear, REFERENCE, (X, Y + 1))


@pytest.mark.parametrize("rest", [{}, {"test": (X, Y), "evaluate_every": 0}])
def test_a_run_that_was_not_scored_says_so(rest) -> None:
    history = simulate(linear, REFERENCE, "ring", rounds=1, progress=False, **rest)
    with pytest.raises(P2PLError, match="give a test set, and evaluate every 1 round or more"):
        history.runs[0].final()


def scored_alone(factory, data, test, options, measure):
    """Return what ``measure`` makes of each device's outputs after two rounds, unmixed."""
    x, y = test
    made = swarm(factory, data, options)
    net, found = factory().eval(), []
    for device in range(len(data)):
        net.load_state_dict(made.stack.model(device))
        with torch.no_grad():
            found.append(float(measure(net(x), y)))
    return found


def measured(factory, data, test, options, metrics):
    from p2pl_flower.options import Options

    result = simulate(
        factory,
        data,
        "ring",
        Options(init="independent", consensus_steps=0),
        options,
        rounds=2,
        test=test,
        progress=False,
        metrics=metrics,
    )
    read = History.from_json(result.history.to_json())
    assert read.runs == result.runs
    return result.final().after_consensus


METRICS = {
    "mse": lambda o, t: functional.mse_loss(o, t),
    "mae": lambda o, t: functional.l1_loss(o, t),
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_of_numbers(name) -> None:
    data = make(6, targets=numbers(3))
    options = TrainOptions(batch_size=4, loss="huber")
    expected = scored_alone(linear, data, data[1], options, METRICS[name])
    scores = measured(linear, data, data[1], options, name)
    assert scores.metrics[name].mean == pytest.approx(np.mean(expected), rel=1e-5)
    assert scores.accuracy is None
    losses = scored_alone(linear, data, data[1], options, functional.huber_loss)
    assert scores.loss.max == pytest.approx(max(losses), rel=1e-5)


@pytest.mark.parametrize("factory", [linear, perceptron])
def test_metrics_of_classes(factory) -> None:
    def share_of_zeros(outputs, targets):
        return (outputs.argmax(1) == 0).double().mean()

    options = TrainOptions(batch_size=4)
    scores = measured(
        factory, REFERENCE, (X, Y), options, ["top-k:k=2", "perplexity", share_of_zeros]
    )
    top = lambda o, t: (o.topk(2, dim=1).indices == t[:, None]).any(1).double().mean()  # noqa: E731
    hits = lambda o, t: (o.argmax(1) == t).double().mean()  # noqa: E731
    perplexity = lambda o, t: functional.cross_entropy(o, t).exp()  # noqa: E731
    for spread, measure in (
        (scores.metrics["top-k:k=2"], top),
        (scores.metrics["perplexity"], perplexity),
        (scores.metrics["share_of_zeros"], share_of_zeros),
        (scores.accuracy, hits),
        (scores.loss, functional.cross_entropy),
    ):
        expected = scored_alone(factory, REFERENCE, (X, Y), options, measure)
        assert spread.mean == pytest.approx(np.mean(expected), rel=1e-5)
        assert spread.min == pytest.approx(min(expected), rel=1e-5)


def test_tokens_that_are_to_be_ignored_count_nothing() -> None:
    options = TrainOptions(batch_size=4)
    x, y = SEQUENCES[1]
    scores = measured(Sequences, SEQUENCES, (x, y), options, "perplexity")
    losses = scored_alone(Sequences, SEQUENCES, (x, y), options, by_token)
    hits = lambda o, t: (o.argmax(2) == t)[t != -100].double().mean()  # noqa: E731
    assert scores.loss.mean == pytest.approx(np.mean(losses), rel=1e-5)
    assert scores.metrics["perplexity"].max == pytest.approx(np.exp(max(losses)), rel=1e-5)
    found = scored_alone(Sequences, SEQUENCES, (x, y), options, hits)
    assert scores.accuracy.mean == pytest.approx(np.mean(found), rel=1e-5)


def test_double_precision_is_kept_in_scores() -> None:
    data = [(x.double(), y) for x, y in REFERENCE]
    factory = lambda: linear().double()  # noqa: E731
    options = TrainOptions(batch_size=4)
    expected = scored_alone(factory, data, data[0], options, functional.cross_entropy)
    scores = measured(factory, data, data[0], options, None)
    assert scores.loss.mean == pytest.approx(np.mean(expected), rel=1e-13)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("acuracy", "metrics='acuracy': unknown name; choose one of: accuracy, mae"),
        (["mse", "mse"], "metrics='mse': is there twice"),
        ([3], "must be the name of a metric, or a function"),
        ("top-k:k=0", "k must be 1 or more"),
    ],
)
def test_metrics_are_checked(given, words) -> None:
    with pytest.raises(ConfigError, match=words):
        metrics_of(given, "mse")
