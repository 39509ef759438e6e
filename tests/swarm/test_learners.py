"""The two learners against each other and against plain PyTorch, device by device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from p2pl_flower.seeding import batch_order
from p2pl_flower.swarm import TrainOptions
from p2pl_flower.swarm.functional import FunctionalLearner
from p2pl_flower.swarm.perceptron.learner import PerceptronLearner
from p2pl_flower.swarm.samples import Batches, Samples
from p2pl_flower.swarm.stack import Stack
from simulations.training import train

COUNTS = (23, 17, 14, 12, 3)  # falling, with batches of 5: 5, 4, 3, 3 and 1 steps


def perceptron(features: int, bias: bool = True) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(features, 8, bias=bias),
        nn.ReLU(),
        nn.Linear(8, 6),
        nn.ReLU(),
        nn.Linear(6, 4),
    )


def samples(features: int, counts=COUNTS) -> Samples:
    generator = torch.Generator().manual_seed(1)
    return Samples(
        [
            (
                torch.randn(n, 1, features, generator=generator),
                torch.randint(0, 4, (n,), generator=generator),
            )
            for n in counts
        ]
    )


def stack_of(template: nn.Module, devices: int) -> Stack:
    stack = Stack(template, devices)
    generator = torch.Generator().manual_seed(2)
    for tensor in stack.tensors.values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator) / 3)
    return stack


@pytest.mark.parametrize("learner", [FunctionalLearner, PerceptronLearner])
@pytest.mark.parametrize("features", [4, 50])  # the first layer's plain and dual forms
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        TrainOptions(batch_size=5, learning_rate=0.1, momentum=0.0),
        TrainOptions(batch_size=5, learning_rate=0.1, momentum=0.9),
        TrainOptions(local_epochs=3, batch_size=4, learning_rate=0.1, momentum=0.5),
        TrainOptions(local_epochs=1, batch_size=100, learning_rate=0.1, momentum=0.5),
    ],
)
def test_every_device_trains_as_it_would_alone(learner, features, bias, options) -> None:
    template, data = perceptron(features, bias), samples(features)
    stack = stack_of(template, len(COUNTS))
    corrects = options.momentum == 0.9
    pull = {n: torch.full_like(t, 0.09) for n, t in stack.tensors.items()} if corrects else {}
    expected = []
    for k, count in enumerate(COUNTS):
        template.load_state_dict(stack.model(k))
        own = slice(int(data.starts[k]), int(data.starts[k]) + count)
        order = lambda epoch, k=k, count=count: batch_order(7, k, 2, epoch, count)  # noqa: E731
        correction = {name: tensor[k] for name, tensor in pull.items()} or None
        train(template, data.x[own], data.y[own], options, order, correction)
        expected.append({name: t.clone() for name, t in template.state_dict().items()})
    batches = Batches(data, np.arange(len(COUNTS)), options, seed=7, round_number=2)
    share = torch.from_numpy(1 / batches.steps).float()
    each = {n: t * share.view(-1, *[1] * (t.dim() - 1)) for n, t in pull.items()}
    learner(template, options).train(stack.tensors, batches, each)
    for k in range(len(COUNTS)):
        for name, tensor in stack.model(k).items():
            torch.testing.assert_close(tensor, expected[k][name], rtol=1e-4, atol=1e-5)
