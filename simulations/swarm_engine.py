"""Runs contenders on the swarm: all devices in this process, as one stacked model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import Round, Run
from p2pl_flower.swarm import Job, Machine, RayCluster, Swarm
from p2pl_flower.swarm.result import mean_of
from strategies import Contender

from . import datasets, trained
from . import models as networks
from .attacks.swarm import HostileDevices, attacked
from .samples import device_samples, scored_samples
from .scenario import Scenario
from .task import make_task, reported, with_attackers

OnRound = Callable[[str, Round], None]


def run_contender(
    scenario: Scenario,
    contender: Contender,
    on_round: OnRound,
    ray_address: str = "",
    models: Path | None = None,
) -> Run:
    """Run one contender with all devices in this process, and return what was measured.

    Or in blocks on the nodes of a Ray cluster, if there is an address. The mean of the trained
    models goes into the folder ``models``, if there is one.

    Raises
    ------
    P2PLError
        Options do not fit each other, or the run does not fit into memory.
    """
    swarm = make_swarm(scenario, contender, on_round, ray_address)
    run = swarm.run()
    hostile = swarm.plan.hostile
    if models is not None:
        honest = hostile.honest(np.arange(swarm.plan.devices))
        trained.save(models, contender.name, mean_of(swarm.stack, honest))
    return with_attackers(run, hostile.devices.tolist())


def make_swarm(
    scenario: Scenario, contender: Contender, on_round: OnRound, ray_address: str = ""
) -> Swarm:
    """Return the swarm that runs a contender."""
    if scenario.relay != Scenario.of().relay:
        rule = "is for Flower's engine: in the swarm no model is moved; leave it out"
        raise ConfigError("relay", scenario.relay, rule)
    job = make_job(scenario, contender, on_round)
    if ray_address:
        where = RayCluster(scenario.torch_device, keep_memory=True, address=ray_address)
        job = replace(job, machine=where)
    plan = contender.plan(make_task(scenario), [len(y) for _, y in job.data])
    plan.hostile = HostileDevices(scenario.attacking, scenario.seed, plan.devices)
    if not plan.shared_start:  # else attackers' draws are nobody's start
        model = attacked(job.model, scenario.attacking, scenario.seed, plan.devices)
        job = replace(job, model=model)
    return Swarm(job, plan)


def make_job(scenario: Scenario, contender: Contender, on_round: OnRound) -> Job:
    """Return what a contender's swarm is given to do."""
    data = datasets.load(scenario.dataset, scenario.data_dir)
    count = contender.devices(scenario.num_devices)
    split = device_samples(scenario, count)
    shares = [
        (torch.from_numpy(data.pixels(data.train_x[own])), torch.from_numpy(data.train_y[own]))
        for own in split
    ]
    attack = scenario.attacking
    for device in attack.attackers(scenario.seed, count):
        x, y = shares[device]
        shares[device] = x, attack.labels(y, data.classes)

    return Job(
        model=networks.factory(scenario.model, data.shape, data.classes),
        data=shares,
        test=scored_samples(scenario),
        rounds=scenario.rounds,
        evaluate_every=scenario.evaluate_every,
        evaluate_trained=scenario.evaluate_trained,
        evaluate_precision=scenario.evaluate_precision,
        fraction_evaluate=scenario.fraction_evaluate,
        max_test_samples=scenario.max_test_samples or None,
        metrics=scenario.metrics,
        training=scenario.train_options(),
        machine=Machine(scenario.torch_device, keep_memory=True),
        name=contender.name,
        on_round=reported(scenario, contender, on_round),
        clock=scenario.run_clock(),
    )
