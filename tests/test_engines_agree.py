"""The swarm and Flower run the same scenario: every device's model must come out the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from local_grid import RUN_ID, LocalGrid

from p2pl_flower import P2PL, MemoryRelay
from p2pl_flower.history import Round, Run
from p2pl_flower.named_arrays import Model
from p2pl_flower.relay.contents import MODEL, models_of
from simulations.attacks.flower import relay_of
from simulations.client_app import make_client_app
from simulations.scenario import Scenario
from simulations.swarm_engine import make_swarm
from simulations.task import make_task
from strategies import contender
from strategies.base import PeerToPeer

pytestmark = pytest.mark.slow

DEVICES = 10
BASE: dict[str, Any] = {
    "dataset": "digits",
    "num-devices": DEVICES,
    "model": "mlp",
    "topology": "erdos-renyi:p=0.4",
    "rounds": 3,
    "evaluate-every": 3,
    "learning-rate": 0.05,
    "seed": 5,
    "network": "wifi:spread=0.3,near=0.2",
    "compute": "lognormal",
}

TROUBLE: dict[str, Any] = {
    "links": "bernoulli:up=0.7+churn:away=0.3,absence=2",
    "consensus-steps": 2,
    "rounds": 4,
}

KEEPING = ["exact-diffusion", "led", "k-gt", "gradient-tracking", "qg-dsgdm", "slowmo", "noloco"]
"""Algorithms that keep something beside the model."""

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "static": ("p2pl", {}),
    "lossy": ("p2pl", {"links": "bernoulli:up=0.6", "weights": "uniform", "consensus-steps": 2}),
    "lossy-to-neighbors": ("p2pl", {"links": "bernoulli:up=0.6", "on-missing": "neighbors"}),
    "bursts-and-churn": (
        "p2pl-affinity",
        {"links": "gilbert-elliott:up=0.7+churn:away=0.3,absence=2", "weights": "data-size"},
    ),
    "uneven": (
        "p2pl",
        {"partition": "dirichlet:0.3", "weights": "data-size", "local-epochs": 2},
    ),
    "moving": ("p2pl", {"topology": "random-waypoint:radius=0.5,speed=0.2"}),
    "matchings": ("p2pl", {"topology": "random-matchings", "consensus-gamma": 0.5}),
    "tensor-scope": ("p2pl", {"max-norm-scope": "tensor"}),
    "shared": ("p2pl", {"init": "shared"}),
    "seed": ("p2pl", {"init": "seed", "shared": "!5.*"}),
    "bounded-norm": ("p2pl", {"init": "bounded-norm"}),
    "bounded-norm-attacked": (
        "p2pl",
        {"init": "bounded-norm", "max-norm-scope": "tensor", "attack": "large-norm:fraction=0.3"},
    ),
    "personal": ("p2pl", {"shared": "!5.*", "consensus-steps": 2}),
    "personal-tensor-scope": ("p2pl", {"shared": "1.*,3.*", "max-norm-scope": "tensor"}),
    "personal-shared-start": ("p2pl-affinity", {"shared": "!5.*", "init": "shared"}),
    "cnn-like": ("p2pl", {"model": "logistic", "momentum": 0.0}),
    "affinity": ("p2pl-affinity:strength=0.5", {"consensus-steps": 2}),
    "exact-diffusion": ("exact-diffusion", {"partition": "dirichlet:0.3"}),
    **{f"{name}-in-trouble": (name, TROUBLE) for name in KEEPING},
    "dsgd": ("dsgd", {}),
    "sparse": (
        "p2pl",
        {"links": "periodic:every=2", "learning-rate-decay": 0.5, "evaluate-trained": False},
    ),
    "nesterov": (
        "p2pl",
        {
            "optimizer": "sgd:momentum=0.9,nesterov=true,weight_decay=1e-3",
            "learning-rate-schedule": "cosine:rounds=4",
            "clip-norm": 0.5,
        },
    ),
    "adam-kept": (
        "p2pl",
        {
            "optimizer": "adam",
            "reset-optimizer": False,
            "learning-rate": 0.002,
            "partition": "dirichlet:0.5",
        },
    ),
    "scored-in-part": (
        "p2pl",
        {
            "fraction-evaluate": 0.35,
            "max-test-samples": 90,
            "metrics": "top-k:k=3+perplexity+own_things.share_of_zeros",
            "links": "churn:away=0.3,absence=2",
            "evaluate-every": 1,
        },
    ),
    "fedavg-scored-in-part": (
        "fedavg",
        {"fraction-evaluate": 0.25, "metrics": "top-k:k=2", "evaluate-every": 1},
    ),
    "fedavg-consensus-only": ("fedavg", {"evaluate-trained": False}),
    "local": ("local", {}),
    "fedavg": ("fedavg", {"partition": "dirichlet:0.5"}),
    "centralized": ("centralized", {}),
    "deadline": (
        "p2pl",
        {"deadline": 0.005, "partition": "dirichlet:0.5", "links": "bernoulli:up=0.7"},
    ),
    "outage": ("p2pl", {"links": "outage:first=2,last=2,share=0.4"}),
    "fedavg-without-server": ("fedavg", {"server-gone-from": 2, "server-gone-rounds": 1}),
}


def run_flower(scenario: Scenario) -> tuple[Run, dict[int, Model]]:
    """Run on Flower's own messages and strategies, in this process."""
    [chosen] = scenario.named_contenders()
    relay = _Kept()
    grid = LocalGrid(
        make_client_app(lambda _: scenario, relay), chosen.devices(scenario.num_devices)
    )
    task = make_task(scenario)
    if not isinstance(chosen, PeerToPeer):
        averages: list[Model] = []
        heard = task.evaluate

        def evaluate(arrays):
            averages.append({name: array.numpy() for name, array in arrays.items()})
            return heard(arrays)

        run = chosen.run(grid, replace(task, evaluate=evaluate))
        return run, dict.fromkeys(range(DEVICES), averages[-1])
    strategy = P2PL(
        task.topology,
        **chosen.options(task),
        evaluate_every=task.evaluate_every,
        evaluate_trained=task.evaluate_trained,
        fraction_evaluate=task.fraction_evaluate,
        num_devices=task.devices,
        relay=relay_of(scenario, relay),
        clock=task.clock,
    )
    strategy.start(grid, task.initial_arrays, task.rounds)
    return Run(
        chosen.name, "flower", task.seed, DEVICES, strategy.setup, strategy.rounds
    ), relay.last


class _Kept(MemoryRelay):
    """A relay whose models can still be looked at after the run."""

    last: dict[int, Model]

    def close(self, run: int) -> None:
        self.last = models_of(self.observe(RUN_ID, MODEL))
        super().close(run)


@pytest.mark.parametrize("case", CASES)
def test_every_device_ends_with_the_same_model(case: str) -> None:
    name, changes = CASES[case]
    scenario = Scenario.of({**BASE, "contenders": name, **changes})
    swarm = make_swarm(scenario, contender(name), lambda *_: None)
    ours = swarm.run()
    theirs, models = run_flower(scenario)
    for device in range(swarm.stack.devices):
        assert_close(swarm.stack.model(device), models[device])
    assert all(r.after_training is None for r in ours.rounds if not scenario.evaluate_trained)
    assert_same_measures(ours, theirs, peers=isinstance(contender(name), PeerToPeer))


def test_a_deadline_leaves_somebody_out() -> None:
    """The case above is one in which it matters."""
    name, changes = CASES["deadline"]
    runs = [
        make_swarm(
            Scenario.of({**BASE, "contenders": name, **changes, **more}),
            contender(name),
            lambda *_: None,
        ).run()
        for more in ({}, {"deadline": 0.0})
    ]
    sent, whole = (sum(r.bytes_sent for r in run.rounds) for run in runs)
    assert 0 < sent < whole


def assert_close(ours: Mapping[str, torch.Tensor], theirs: Model) -> None:
    for name, tensor in ours.items():
        apart = np.linalg.norm(tensor.numpy() - theirs[name])
        assert apart <= 1e-4 * np.linalg.norm(theirs[name]), (name, apart)


def assert_same_measures(ours: Run, theirs: Run, peers: bool) -> None:
    assert ours.devices == theirs.devices
    assert [r.round for r in ours.rounds] == [r.round for r in theirs.rounds]
    for our, their in zip(ours.rounds, theirs.rounds, strict=True):
        for when in ("after_training", "after_consensus"):
            assert_same_scores(getattr(our, when), getattr(their, when))
        assert (our.consensus_distance is None) == (their.consensus_distance is None)
        if our.consensus_distance is not None:
            assert our.consensus_distance == pytest.approx(their.consensus_distance, rel=1e-3)
        if peers:
            assert our.bytes_sent == their.bytes_sent
            assert our.bytes_sent_busiest == their.bytes_sent_busiest
            assert our.bytes_transmitted == their.bytes_transmitted
            assert_same_clock(our, their, rel=1e-9)
        else:  # Flower's arrays have headers
            assert our.bytes_sent == pytest.approx(their.bytes_sent, rel=0.02)
            assert our.bytes_sent_busiest == pytest.approx(their.bytes_sent_busiest, rel=0.02)
            assert_same_clock(our, their, rel=0.02)
    assert ours.setup.get("clock_seconds", 0) == theirs.setup.get("clock_seconds", 0)
    for key in ("synchronization_steps", "bytes_sent"):
        assert ours.setup.get(key) == theirs.setup.get(key)


def assert_same_clock(our: Round, their: Round, rel: float) -> None:
    assert our.clock.seconds == pytest.approx(their.clock.seconds, rel=rel)
    for name in ("busy", "waiting", "energy"):
        ours, theirs = (asdict(getattr(measured.clock, name)) for measured in (our, their))
        assert ours == pytest.approx(theirs, rel=rel)


def assert_same_scores(ours: Any, theirs: Any) -> None:
    assert (ours is None) == (theirs is None)
    if ours is not None:
        our, their = ({**asdict(s), **asdict(s).pop("metrics")} for s in (ours, theirs))
        assert our.keys() == their.keys()
        told, kept = our.pop("devices"), their.pop("devices")
        assert [a is None for a in told or ()] == [a is None for a in kept or ()]
        for mine, other in zip(told or (), kept or (), strict=True):
            assert mine is None or mine == pytest.approx(other, abs=2e-3)
        for key, spread in their.items():
            if key != "metrics":
                assert our[key] == pytest.approx(spread, rel=1e-3, abs=2e-3)
