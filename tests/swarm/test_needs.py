"""What is announced of memory, beside what is held."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from p2pl_flower.algorithms.codecs import CODECS, Coder
from p2pl_flower.algorithms.codecs.memory import ErrorFeedback, NoMemory
from p2pl_flower.algorithms.eigenvector_correction import EigenvectorCorrection
from p2pl_flower.algorithms.k_gt import KGradientTracking
from p2pl_flower.algorithms.mixing import Weighted
from p2pl_flower.algorithms.p2pl import P2PL
from p2pl_flower.options import Options
from p2pl_flower.swarm import Gossip, Job, Machine, Swarm, TrainOptions
from p2pl_flower.swarm.algorithm_memory import extra_bytes
from p2pl_flower.swarm.stack import Stack, is_held_once
from p2pl_flower.swarm.trial import two_of
from p2pl_flower.topology import schedule

DEVICES = 5


class Adapted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(30, 30).requires_grad_(False)
        nn.init.ones_(self.base.weight)
        nn.init.zeros_(self.base.bias)
        self.lora = nn.Linear(30, 3)

    def forward(self, x):
        return self.lora(self.base(x))


def made(shared: str, optimizer: str = "sgd", reset: bool = True) -> Swarm:
    data = [(torch.randn(4, 30), torch.randint(0, 3, (4,))) for _ in range(DEVICES)]
    training = TrainOptions(batch_size=2, optimizer=optimizer, reset_optimizer=reset)
    job = Job(lambda _: Adapted(), data, None, 1, training=training)
    graph = schedule("ring", DEVICES, 0)
    swarm = Swarm(job, Gossip(graph, Options(shared=shared), [4] * DEVICES))
    swarm.run()
    return swarm


@pytest.mark.parametrize("shared", ["*", "!base.*"])
def test_models_take_what_was_announced(shared: str) -> None:
    swarm = made(shared)
    base, adapter = 4 * (30 * 30 + 30), 4 * (30 * 3 + 3)
    held = base + DEVICES * adapter if shared != "*" else DEVICES * (base + adapter)
    assert swarm.block.needs.models == swarm.stack.nbytes == held


def test_a_step_on_trial_holds_what_is_frozen_once() -> None:
    stack = two_of(Adapted(), "cpu")
    assert is_held_once(stack.tensors["base.weight"])
    assert not is_held_once(stack.tensors["lora.weight"])


@pytest.mark.parametrize(("optimizer", "parts"), [("adamw", 2), ("adagrad", 1)])
def test_what_optimizers_keep_is_announced(optimizer: str, parts: int) -> None:
    kept = made("!base.*", optimizer, reset=False).block.needs.kept
    steps = 2 * 4  # a step count, of each parameter
    assert kept == DEVICES * (parts * 4 * (30 * 3 + 3) + steps)
    assert made("!base.*", optimizer).block.needs.kept == 0


def one() -> Stack:
    return Stack(nn.Linear(6, 4), 1, "meta")  # 112 bytes


@pytest.mark.parametrize("devices", [1, 50])
def test_a_number_for_each_device_of_the_run_is_announced(devices: int) -> None:
    def extra(count: int) -> int:
        return extra_bytes(EigenvectorCorrection(), one(), Weighted(), devices=count)

    assert extra(devices) - extra(1) == 3 * 4 * (devices - 1)  # shares, place, and shares as sent


@pytest.mark.parametrize(("algorithm", "sent"), [(P2PL(), 1), (KGradientTracking(), 2)])
def test_public_messages_are_as_large_as_what_an_algorithm_sends(algorithm, sent: int) -> None:
    plain = extra_bytes(algorithm, one(), Weighted())
    for memory, copies in ((NoMemory(), 2), (ErrorFeedback(), 3)):
        coder = Coder(CODECS.make("int8"), memory)
        found = extra_bytes(algorithm, one(), Weighted(), coder)
        assert found - plain == copies * sent * 112


def test_what_scoring_makes_at_the_same_time_is_announced() -> None:
    def net() -> nn.Module:
        front = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten()
        return nn.Sequential(*front, nn.Linear(2 * 18 * 18, 3))

    data = [(torch.randn(2, 1, 20, 20), torch.tensor([0, 1]))] * DEVICES
    test = torch.randn(100, 1, 20, 20), torch.zeros(100, dtype=torch.int64)
    machine = Machine(workers=1)

    def training(scored: object) -> int:
        job = Job(net, data, scored, 1, machine=machine)
        graph = schedule("ring", DEVICES, 0)
        return Swarm(job, Gossip(graph, Options(), [2] * DEVICES)).block.needs.training

    largest = 4 * 20 * 20 * 4  # of the first layer; two such are there, of 32 images and 4 devices
    assert training(test) == 2 * 32 * 4 * largest > training(None)
