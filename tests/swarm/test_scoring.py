"""Scores of many models against plain PyTorch, one model after the other."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from p2pl_flower.errors import ConfigError
from p2pl_flower.swarm import TrainOptions, scoring
from p2pl_flower.swarm.functional import FunctionalLearner
from p2pl_flower.swarm.inputs import VaryingInputs
from p2pl_flower.swarm.perceptron import PerceptronLearner
from p2pl_flower.swarm.scoring import Scoring
from p2pl_flower.swarm.stack import Stack, fill
from p2pl_flower.swarm.workers import Workers
from simulations.training import evaluate

DEVICES, FEATURES, CLASSES = 3, 12, 4


def perceptron(bias: bool = True) -> nn.Module:
    hidden = nn.Linear(FEATURES, 8, bias=bias), nn.ReLU(), nn.Linear(8, 6), nn.ReLU()
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(6, CLASSES))


def images(samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images of which each class has margins of its own, of one and the same color."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, 1, 3, 4, generator=generator)
    y = torch.randint(0, CLASSES, (samples,), generator=generator)
    for label in range(CLASSES):
        x[y == label, 0, label % 3] = 0.25
    return x, y


def expected(stack: Stack, template: nn.Module, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    found = []
    for k in range(stack.devices):
        template.load_state_dict(stack.model(k))
        found.append(evaluate(template, x, y))
    return np.array(found)


@pytest.mark.parametrize("learner", [FunctionalLearner, PerceptronLearner])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("samples", [1, 7, 300])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_scores_are_those_of_each_model_alone(
    learner, bias, samples, precision, monkeypatch
) -> None:
    monkeypatch.setattr(scoring, "BATCH", 64)
    template, (x, y) = perceptron(bias), images(samples)
    stack = Stack(template, DEVICES)
    fill(stack, lambda: perceptron(bias), range(DEVICES))
    make = lambda: learner(copy.deepcopy(template), TrainOptions())  # noqa: E731
    test = Scoring((x, y), make(), "cpu", precision)
    with Workers(make, 2) as workers:
        found = test.scores(stack, np.arange(DEVICES), workers)
    losses, accuracies = expected(stack, template, x, y).T
    exact = precision == torch.float32
    assert found.loss.mean == pytest.approx(losses.mean(), rel=1e-5 if exact else 2e-2)
    assert found.loss.max == pytest.approx(losses.max(), rel=1e-5 if exact else 2e-2)
    if exact:
        assert found.accuracy.mean == pytest.approx(accuracies.mean(), abs=1e-9)
        assert found.accuracy.min == pytest.approx(accuracies.min(), abs=1e-9)
    else:
        assert found.accuracy.mean == pytest.approx(accuracies.mean(), abs=0.05)


def test_bfloat16_is_computed_in_bfloat16() -> None:
    template, (x, _) = perceptron(), images(40)
    for learner in (FunctionalLearner, PerceptronLearner):
        made, model = learner(template, TrainOptions()), dict(template.state_dict())
        full = made.logits(model, made.inputs(x))
        half = made.logits(model, made.inputs(x, torch.bfloat16))
        assert full.dtype == half.dtype == torch.float32
        assert 0 < float((full - half).abs().max()) < 0.02


def test_what_does_not_vary_is_left_out_of_products_alone() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [1.0, 5.0, 3.0]])
    weight, bias = torch.tensor([[1.0, 10.0, 100.0], [2.0, 0.0, 1.0]]), torch.tensor([0.5, 0.0])
    inputs = VaryingInputs.of(x, torch.float32)
    assert inputs.varying.tolist() == [1]
    narrow, fixed = inputs.layer(weight, bias)
    assert narrow.tolist() == [[10.0], [0.0]]
    assert fixed.tolist() == [301.5, 5.0]
    torch.testing.assert_close(inputs.x @ narrow.T + fixed, x @ weight.T + bias)


def test_a_batch_in_which_nothing_varies() -> None:
    template, x = perceptron(), torch.full((50, 1, 3, 4), 0.5)
    learner = PerceptronLearner(template, TrainOptions())
    for precision in (torch.float32, torch.bfloat16):
        inputs = learner.inputs(x, precision)
        assert inputs.x.shape == (50, 0)
        logits = learner.logits(dict(template.state_dict()), inputs)
        torch.testing.assert_close(logits, template(x).detach(), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("labels", [0, 2])
def test_a_test_set_that_is_none(labels) -> None:
    learner = FunctionalLearner(perceptron(), TrainOptions())
    with pytest.raises(ConfigError, match="as many labels as inputs"):
        Scoring((torch.zeros(0, 1, 3, 4), torch.zeros(labels)), learner, "cpu", torch.float32)
