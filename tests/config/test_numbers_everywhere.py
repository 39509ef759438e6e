"""Every number, text and truth that the package takes, in whatever class or function."""

from __future__ import annotations

import math

import numpy as np
import pytest

from p2pl_flower import P2PL, MemoryRelay, Options
from p2pl_flower.algorithms.p2pl_affinity import P2PLAffinity
from p2pl_flower.errors import ConfigError
from p2pl_flower.links import Bernoulli, Churn, GilbertElliott, Periodic
from p2pl_flower.relay.grpc import Waiting
from p2pl_flower.serverless.settings import Settings
from p2pl_flower.swarm import Averaging, Job, Machine, TrainOptions
from p2pl_flower.topology import (
    OnePeerExponential,
    RandomMatchings,
    RandomWaypoint,
    erdos_renyi,
    random_geometric,
    regular,
    ring,
    scale_free,
    schedule,
    small_world,
    torus,
)
from simulations.scenario import Scenario


def swarm_job(**options) -> Job:
    return Job(lambda: None, [], None, **{"rounds": 1, **options})


NUMBERS = [  # what makes it, the option's name, an integer or a number that is fine
    *((Options, name, 1) for name in ("consensus_steps", "seed")),
    *((Options, name, 0.5) for name in ("consensus_gamma",)),
    *((TrainOptions, name, 2) for name in ("local_epochs", "batch_size")),
    *((TrainOptions, n, 0.5) for n in ("learning_rate", "momentum", "learning_rate_decay")),
    *((Machine, name, 2) for name in ("chunk", "workers")),
    *((swarm_job, name, 2)
      for name in ("rounds", "evaluate_every", "checkpoint_every", "max_test_samples")),
    (swarm_job, "fraction_evaluate", 0.5),
    (lambda **o: P2PL(relay=MemoryRelay(), **o), "fraction_evaluate", 0.5),
    *((lambda **o: P2PL(relay=MemoryRelay(), **o), name, 2)
      for name in ("evaluate_every", "num_devices", "min_available_nodes", "seed")),
    (lambda **o: P2PL(relay=MemoryRelay(), **o), "connect_timeout", 0.5),
    (Waiting, "quorum", 2),
    *((Waiting, name, 0.5) for name in ("deadline", "grace")),
    (P2PLAffinity, "strength", 0.25),
    (lambda **o: Averaging([1, 2], **o), "fraction", 0.5),
    (Bernoulli, "up_rate", 0.5),
    (lambda **o: Bernoulli(0.5, **o), "seed", 3),
    (Periodic, "every", 2),
    *((lambda **o: GilbertElliott(**{"up_rate": 0.5, **o}), name, 0.5)
      for name in ("up_rate", "loss_good", "loss_bad")),
    (lambda **o: Churn(**{"away": 0.5, **o}), "away", 0.25),
    (lambda **o: Churn(**{"away": 0.5, **o}), "absence", 4.5),
    *((lambda f=f, **o: f(**{"n": 8, **o}), "n", 6)
      for f in (ring, torus, OnePeerExponential, RandomMatchings)),
    (lambda **o: torus(8, **o), "rows", 2),
    (lambda **o: regular(8, **o), "d", 4),
    (lambda **o: small_world(8, p=0.5, **o), "k", 4),
    (lambda **o: small_world(8, 4, **o), "p", 0.5),
    (lambda **o: scale_free(8, **o), "m", 2),
    (lambda **o: erdos_renyi(8, **o), "p", 0.75),
    (lambda **o: erdos_renyi(8, 0.75, **o), "seed", 3),
    (lambda **o: random_geometric(8, **o), "radius", 0.75),
    *((lambda **o: RandomWaypoint(**{"n": 4, "radius": 0.5, "speed": 0.1, **o}), name, 0.5)
      for name in ("radius", "speed", "pause")),
    (lambda **o: schedule("ring", 4, **o), "seed", 3),
]  # fmt: skip


@pytest.mark.parametrize(("make", "name", "value"), NUMBERS)
def test_numbers_of_numpy_are_numbers_and_truths_and_nan_are_none(make, name, value) -> None:
    kinds = (np.int64, np.int32, np.uint8) if type(value) is int else (np.float32, np.float64)
    for kind in kinds:
        made, plain = make(**{name: kind(value)}), make(**{name: value})
        kept, expected = getattr(made, name, None), getattr(plain, name, None)
        assert kept == expected
        assert type(kept) is type(expected)
    wrong = [True, np.bool_(True), "1", math.nan, np.float32("nan"), -1]
    for bad in (*wrong, 2.5) if type(value) is int else wrong:
        with pytest.raises(ConfigError):
            make(**{name: bad})


def test_texts_and_truths_of_numpy() -> None:
    assert Options(weights=np.str_("uniform"), init=np.str_("shared")) == Options(
        weights="uniform", init="shared"
    )
    assert swarm_job(evaluate_trained=np.bool_(False)).evaluate_trained is False
    with pytest.raises(ConfigError, match="evaluate-trained=1: must be true or false"):
        P2PL(evaluate_trained=1, relay=MemoryRelay())


@pytest.mark.parametrize("value", [-1, 2.5, True, "1"])
def test_evaluate_every_is_refused_alike(value) -> None:
    good = {"device": 0, "num-devices": 2, "listen": "h:1", "app": "a:b", "rounds": 1}
    good |= {"neighbors": {"1": "h:2"}, "insecure": True}
    for make in (
        lambda: P2PL(evaluate_every=value, relay=MemoryRelay()),
        lambda: swarm_job(evaluate_every=value),
        lambda: Settings.of({**good, "evaluate-every": value}),
        lambda: Scenario.of({"evaluate-every": value}),
    ):
        with pytest.raises(ConfigError, match=f"^evaluate-every={value!r}: must be "):
            make()
