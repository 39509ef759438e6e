"""Local training against hand-computed steps and against torch.optim.SGD."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from p2pl_flower.errors import ConfigError, LayoutError
from p2pl_flower.seeding import batch_order
from p2pl_flower.swarm import simulate
from p2pl_flower.swarm.augmentation import Draw
from simulations.evaluation import evaluate
from simulations.models import build
from simulations.training import TrainOptions, train


def linear(weights: list[float]) -> nn.Module:
    """Two logits, w_0 x and w_1 x."""
    model = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor(weights)[:, None])
    return model


def in_order(samples: int):
    return lambda epoch: np.arange(samples)


def test_two_steps_with_momentum_and_correction_by_hand():
    model = linear([0.0, 0.0])
    x, y = torch.ones(2, 1), torch.tensor([0, 1])
    options = TrainOptions(batch_size=1, learning_rate=0.1, momentum=0.5)
    correction = {"weight": torch.tensor([[0.2], [0.4]])}
    loss = train(model, x, y, options, in_order(2), correction)
    # H = 2, so that each step adds (0.2, 0.4) / 2 = (0.1, 0.2)
    # 1: g = (-.5, .5) = v;                           w = (.05, -.05) + (.1, .2) = (.15, .15)
    # 2: g = (.5, -.5), v = .5 (-.5, .5) + g = (.25, -.25)
    #                     w = (.15, .15) - .1 v + (.1, .2) = (.225, .375)
    np.testing.assert_allclose(model.weight.detach().flatten(), [0.225, 0.375], rtol=1e-6)
    assert loss == pytest.approx(math.log(2))


def test_the_last_batch_may_be_smaller_and_counts_by_its_samples():
    model = linear([0.0, 0.0])
    x, y = torch.tensor([[1.0], [1.0], [2.0]]), torch.tensor([0, 1, 1])
    options = TrainOptions(batch_size=2, learning_rate=0.1, momentum=0.0)
    loss = train(model, x, y, options, in_order(3))
    # 1: the two gradients cancel; 2: one sample, g = (1, -1)
    np.testing.assert_allclose(model.weight.detach().flatten(), [-0.1, 0.1], rtol=1e-6)
    assert loss == pytest.approx(math.log(2))


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_equals_the_optimizer_of_torch(momentum):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(23, 1, 8, 8, generator=generator)
    y = torch.randint(0, 10, (23,), generator=generator)
    orders = [np.random.default_rng(epoch).permutation(23) for epoch in range(3)]
    ours, theirs = (build("mlp", (1, 8, 8), 10, seed=0) for _ in range(2))
    options = TrainOptions(local_epochs=3, batch_size=5, learning_rate=0.1, momentum=momentum)
    loss = train(ours, x, y, options, orders.__getitem__)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=momentum)
    losses = []
    for order in orders:
        for batch in torch.from_numpy(order).split(5):
            optimizer.zero_grad()
            out = nn.functional.cross_entropy(theirs(x[batch]), y[batch], reduction="none")
            out.mean().backward()
            optimizer.step()
            losses += out.tolist()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert loss == pytest.approx(np.mean(losses), rel=1e-4)


OPTIONS = {
    "nesterov": {"optimizer": "sgd:momentum=0.9,nesterov=true,weight_decay=1e-2"},
    "adamw": {"optimizer": "adamw", "clip_norm": 0.5, "learning_rate": 0.01},
    "kept": {"optimizer": "adam", "reset_optimizer": False, "learning_rate": 0.01},
    "cosine": {"learning_rate_schedule": "cosine:rounds=4"},
    "half": {"train_precision": "bfloat16"},
    "noise": {"transform": lambda x, generator: x + torch.rand(x.shape, generator=generator)},
}


@pytest.mark.parametrize("case", OPTIONS)
def test_a_device_trains_as_it_does_in_the_swarm(case):
    options = TrainOptions(**{"local_epochs": 2, "batch_size": 5, **OPTIONS[case]})
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(13, 6, generator=generator)
    y = torch.randint(0, 3, (13,), generator=generator)
    model = lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))  # noqa: E731
    start = model()
    result = simulate(
        model,
        [(x, y)],
        "complete",
        None,
        options,
        rounds=2,
        progress=False,
        initial=start.state_dict(),
    )
    kept = {} if not options.reset_optimizer else None
    for number in (1, 2):
        order = lambda epoch, number=number: batch_order(0, 0, number, epoch, 13)  # noqa: E731
        draw = lambda epoch, step, own, number=number: Draw(0, 0, number, epoch, step, own)  # noqa: E731
        train(start, x, y, options.in_round(number), order, None, draw, kept)
    tolerance = 2e-2 if case == "half" else 1e-5
    for name, tensor in result.state_dict(0).items():
        torch.testing.assert_close(start.state_dict()[name], tensor, rtol=tolerance, atol=tolerance)


def test_a_correction_is_made_in_full_by_the_end_of_a_round():
    model = build("mlp", (1, 8, 8), 10, seed=0)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    correction = {name: torch.full_like(p, 0.25) for name, p in model.named_parameters()}
    x, y = torch.zeros(7, 1, 8, 8), torch.zeros(7, dtype=torch.int64)
    options = TrainOptions(2, batch_size=3, learning_rate=1e-12, momentum=0.0)
    train(model, x, y, options, in_order(7), correction)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), start[name] + 0.25)


@pytest.mark.parametrize("correction", [None, {}])
def test_no_correction_is_plain_training(correction):
    plain, other = linear([0.1, 0.2]), linear([0.1, 0.2])
    x, y = torch.ones(4, 1), torch.tensor([0, 1, 1, 1])
    train(plain, x, y, TrainOptions(batch_size=2), in_order(4))
    train(other, x, y, TrainOptions(batch_size=2), in_order(4), correction)
    assert torch.equal(plain.weight, other.weight)


def test_every_epoch_has_its_order():
    asked = []

    def order(epoch: int):
        asked.append(epoch)
        return np.random.default_rng(epoch).permutation(4)

    options = TrainOptions(local_epochs=3, batch_size=4)
    train(linear([0.0, 1.0]), torch.ones(4, 1), torch.tensor([0, 1, 0, 1]), options, order)
    assert asked == [0, 1, 2]


def test_training_learns_digits():
    images, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(images).float().reshape(-1, 1, 8, 8) / 16
    y = torch.from_numpy(labels)
    model = build("mlp", (1, 8, 8), 10, seed=0)
    before = evaluate(model, x, y)
    shuffle = lambda e: np.random.default_rng(e).permutation(1797)  # noqa: E731
    train(model, x, y, TrainOptions(local_epochs=3), shuffle)
    after = evaluate(model, x, y)
    assert after["loss"] < 0.5 < before["loss"]
    assert before["accuracy"] < 0.3 < 0.9 < after["accuracy"]


def test_evaluation_by_hand():
    x, y = torch.tensor([[1.0], [-1.0], [3.0]]), torch.tensor([1, 1, 1])
    found = evaluate(linear([0.0, 1.0]), x, y, metrics="perplexity+top-k:k=2")
    expected = np.mean([math.log(1 + math.exp(-logit)) for logit in (1.0, -1.0, 3.0)])
    assert found == pytest.approx(
        {
            "loss": expected,
            "accuracy": 2 / 3,
            "perplexity": math.exp(expected),
            "top-k:k=2": 1.0,
        }
    )
    batches = evaluate(linear([0.0, 1.0]), x, y, batch=2)
    assert batches == pytest.approx({name: found[name] for name in ("loss", "accuracy")})


def test_dropout_is_on_in_training_and_off_in_evaluation():
    model = nn.Sequential(nn.Linear(1, 2), nn.Dropout(0.5))
    x, y = torch.ones(4, 1), torch.zeros(4, dtype=torch.int64)
    assert evaluate(model, x, y) == evaluate(model, x, y)
    train(model, x, y, TrainOptions(), in_order(4))
    assert model.training


def test_a_correction_of_another_model():
    model, x, y = linear([0.0, 0.0]), torch.ones(1, 1), torch.tensor([0])
    with pytest.raises(LayoutError, match="correction is for none"):
        train(model, x, y, TrainOptions(), in_order(1), {"bias": torch.zeros(2)})


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"local_epochs": 0}, "local-epochs=0: must be at least 1"),
        ({"batch_size": 0}, "batch-size=0: must be at least 1"),
        ({"learning_rate": 0.0}, r"learning-rate=0.0: must be in \(0, inf\)"),
        ({"learning_rate": math.nan}, r"learning-rate=nan: must be a number in \(0, inf\)"),
        ({"momentum": 1.0}, r"momentum=1.0: must be in \[0, 1\)"),
        ({"momentum": -0.1}, r"momentum=-0.1: must be in \[0, 1\)"),
        ({"learning_rate_decay": 0.0}, r"learning-rate-decay=0.0: must be in \(0, 1\]"),
        ({"learning_rate_decay": 1.1}, r"learning-rate-decay=1.1: must be in \(0, 1\]"),
    ],
)
def test_refused_options(options, pattern):
    with pytest.raises(ConfigError, match=pattern):
        TrainOptions(**options)


def test_the_learning_rate_falls_from_round_to_round():
    options = TrainOptions(learning_rate=0.8, learning_rate_decay=0.5, momentum=0.3)
    assert [options.in_round(number).learning_rate for number in (1, 2, 4)] == [0.8, 0.4, 0.1]
    assert options.in_round(3).momentum == 0.3
    assert TrainOptions().in_round(100) == TrainOptions()
