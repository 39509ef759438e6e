"""Scores of many models against plain PyTorch, one model after the other."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from p2pl_flower.errors import ConfigError
from p2pl_flower.swarm import TrainOptions, inputs, scoring
from p2pl_flower.swarm.drawing import Draws
from p2pl_flower.swarm.functional import FunctionalLearner
from p2pl_flower.swarm.perceptron.inputs import VaryingInputs, alike
from p2pl_flower.swarm.perceptron.learner import PerceptronLearner
from p2pl_flower.swarm.scoring import Scoring, scores_of
from p2pl_flower.swarm.stack import Stack
from p2pl_flower.swarm.workers import Workers
from simulations.evaluation import evaluate

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
        found.append(list(evaluate(template, x, y).values()))
    return np.array(found)


def alone(template: nn.Module) -> dict[str, torch.Tensor]:
    """Return the stack of one model."""
    return {name: tensor[None] for name, tensor in template.state_dict().items()}


def draw_all(stack, factory) -> None:
    Draws(stack, factory, range(DEVICES)).give(np.arange(DEVICES)[:, np.newaxis])


@pytest.mark.parametrize("learner", [FunctionalLearner, PerceptronLearner])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("samples", [1, 7, 300])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_scores_are_those_of_each_model_alone(
    learner, bias, samples, precision, monkeypatch
) -> None:
    monkeypatch.setattr(inputs, "BATCH", 64)
    monkeypatch.setattr(scoring, "TOGETHER", 2)
    template, (x, y) = perceptron(bias), images(samples)
    stack = Stack(template, DEVICES)
    draw_all(stack, lambda: perceptron(bias))
    make = lambda: learner(copy.deepcopy(template), TrainOptions())  # noqa: E731
    test = Scoring((x, y), make(), "cpu", precision)
    with Workers(make, 2) as workers:
        found = scores_of(test.values(stack, np.arange(DEVICES), workers))
    losses, accuracies = expected(stack, template, x, y).T
    exact = precision == torch.float32
    assert found.loss.mean == pytest.approx(losses.mean(), rel=1e-5 if exact else 2e-2)
    assert found.loss.max == pytest.approx(losses.max(), rel=1e-5 if exact else 2e-2)
    if exact:
        assert found.accuracy.mean == pytest.approx(accuracies.mean(), abs=1e-9)
        assert found.accuracy.min == pytest.approx(accuracies.min(), abs=1e-9)
    else:
        assert found.accuracy.mean == pytest.approx(accuracies.mean(), abs=0.05)


@pytest.mark.parametrize("learner", [FunctionalLearner, PerceptronLearner])
def test_bfloat16_is_computed_in_bfloat16(learner) -> None:
    template, (x, _) = perceptron(), images(40)
    made, model = learner(template, TrainOptions()), alone(template)
    full = made.outputs(model, made.inputs(x))
    half = made.outputs(model, made.inputs(x, torch.bfloat16))
    assert (full.dtype, half.dtype) == (torch.float32, torch.bfloat16)
    assert 0 < float((full - half).abs().max()) < 0.02


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_one_layer_is_a_perceptron_too(precision) -> None:
    template, (x, _) = nn.Sequential(nn.Flatten(), nn.Linear(FEATURES, CLASSES)), images(40)
    learner = PerceptronLearner(template, TrainOptions())
    logits = learner.outputs(alone(template), learner.inputs(x, precision))
    assert (logits < 0).any()  # no ReLU
    torch.testing.assert_close(logits[0].float(), template(x).detach(), rtol=2e-2, atol=2e-2)


def test_what_is_as_usual_is_left_out_of_products_alone(monkeypatch) -> None:
    monkeypatch.setattr(inputs, "BATCH", 2)
    x = torch.tensor([[1.0, 2.0, 3.0], [1.0, 5.0, 3.0], [1.0, 2.0, 3.0], [4.0, 2.0, 0.0]])
    weight, bias = torch.tensor([[1.0, 10.0, 100.0], [2.0, 0.0, 1.0]]), torch.tensor([0.5, 0.0])
    ready = VaryingInputs.of(x, torch.float32)
    assert ready.usual.tolist() == [1, 2, 3]
    assert [v.tolist() for v in ready.varying] == [[1], [0, 2]]
    assert [batch.tolist() for batch in ready.batches] == [[[0], [3]], [[0, 0], [3, -3]]]
    layers = list(ready.layers(weight, bias))
    assert [narrow.tolist() for narrow, _ in layers] == [[[10], [0]], [[1, 100], [2, 1]]]
    outputs = [some @ w.T + b for some, (w, b) in zip(ready.batches, layers, strict=True)]
    torch.testing.assert_close(torch.cat(outputs), x @ weight.T + bias)


def test_of_equal_logits_the_first_class_is_the_prediction() -> None:
    template, (x, y) = perceptron(), images(60)
    stack = Stack(template, 2)
    for tensor in stack.tensors.values():
        tensor.zero_()  # all logits are 0, as in a model that was never drawn
    learner = PerceptronLearner(template, TrainOptions())
    test = Scoring((x, y), learner, "cpu", torch.float32)
    with Workers(lambda: learner, 1) as workers:
        found = scores_of(test.values(stack, np.arange(2), workers))
    assert 0 < found.accuracy.mean == pytest.approx(float((y == 0).float().mean()))
    assert found.loss.mean == pytest.approx(np.log(CLASSES))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_model_that_diverged_is_scored_as_pytorch_does(value) -> None:
    template, (x, y) = perceptron(), images(60)
    stack = Stack(template, DEVICES)
    draw_all(stack, perceptron)
    stack.tensors["5.bias"][1, 2] = value
    learner = PerceptronLearner(template, TrainOptions())
    with Workers(lambda: learner, 1) as workers:
        test = Scoring((x, y), learner, "cpu", torch.float32)
        found = scores_of(test.values(stack, np.arange(DEVICES), workers))
    losses, accuracies = expected(stack, template, x, y).T
    assert found.accuracy.mean == pytest.approx(accuracies.mean())
    assert found.loss.mean == pytest.approx(losses.mean(), nan_ok=True)


def test_samples_with_a_rare_input_come_first() -> None:
    x = torch.zeros(7, 4)
    x[[1, 3, 4], 1] = 1.0
    x[[3, 6], 2] = 2.0
    x[:, 3] = 5.0  # no sample is unusual in it
    order = alike(x).tolist()
    assert set(order[:2]) == {3, 6}  # input 2 is unusual in two samples,
    assert set(order[2:4]) == {1, 4}  # input 1 in two of the others
    assert sorted(order) == list(range(7))


def test_few_inputs_vary_among_neighbors() -> None:
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(400, generator=generator).square().mul(50).long()
    x = torch.zeros(400, 50)
    x[torch.arange(400), places] = 1.0  # every sample has one input, some inputs are rare
    assert sum(_varying(x)) > 1.5 * sum(_varying(x[alike(x)]))


def _varying(x: torch.Tensor) -> list[int]:
    return [int((batch != 0).any(0).sum()) for batch in torch.split(x, 100)]


def test_samples_that_have_nothing_in_common_are_all_there() -> None:
    x = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))
    assert sorted(alike(x).tolist()) == list(range(30))


def test_inputs_that_are_all_as_usual() -> None:
    template, x = perceptron(), torch.full((50, 1, 3, 4), 0.5)
    learner = PerceptronLearner(template, TrainOptions())
    for precision in (torch.float32, torch.bfloat16):
        ready = learner.inputs(x, precision)
        assert [batch.shape for batch in ready.batches] == [(50, 0)]
        logits = learner.outputs(alone(template), ready)[0].float()
        torch.testing.assert_close(logits, template(x).detach(), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("labels", [0, 2])
def test_a_test_set_that_is_none(labels) -> None:
    learner = FunctionalLearner(perceptron(), TrainOptions())
    with pytest.raises(ConfigError, match="as many labels as inputs"):
        Scoring((torch.zeros(0, 1, 3, 4), torch.zeros(labels)), learner, "cpu", torch.float32)
