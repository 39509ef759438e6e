"""Runs contenders on the swarm: all devices in this process, as one stacked model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from p2pl_flower.history import Round, Run
from p2pl_flower.swarm import Job, Machine, Swarm
from strategies import Contender

from . import datasets, models
from .client_app import device_samples
from .scenario import Scenario
from .task import make_task

OnRound = Callable[[str, Round], None]


def run_contender(scenario: Scenario, contender: Contender, on_round: OnRound) -> Run:
    """Run one contender with all devices in this process, and return what was measured.

    Raises
    ------
    P2PLError
        Options do not fit each other, or the run does not fit into memory.
    """
    return make_swarm(scenario, contender, on_round).run()


def make_swarm(scenario: Scenario, contender: Contender, on_round: OnRound, **rest: Any) -> Swarm:
    """Return the swarm that runs a contender; ``rest`` are attributes of its `Job`."""
    data = datasets.load(scenario.dataset, scenario.data_dir)
    split = device_samples(scenario, contender.devices(scenario.num_devices))
    shares = [
        (torch.from_numpy(data.pixels(data.train_x[own])), torch.from_numpy(data.train_y[own]))
        for own in split
    ]
    test = torch.from_numpy(data.pixels(data.test_x)), torch.from_numpy(data.test_y)

    def model(seed: int) -> nn.Module:
        return models.build(scenario.model, data.shape, data.classes, seed)

    job = Job(
        model=model,
        data=shares,
        test=test,
        rounds=scenario.rounds,
        evaluate_every=scenario.eval_every,
        training=scenario.train_options(),
        machine=Machine(scenario.device),
        name=contender.name,
        on_round=lambda measured: on_round(contender.name, measured),
        **rest,
    )
    return Swarm(job, contender.plan(make_task(scenario), [len(y) for _, y in shares]))
