"""Gossip without rounds: events by the clock, the same however they are batched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from p2pl_flower.errors import ConfigError
from p2pl_flower.links.clock import Compute
from p2pl_flower.options import Clock, Options
from p2pl_flower.swarm import Averaging, Gossip, Job, Swarm, TrainOptions
from p2pl_flower.topology import schedule

COUNT = 6
CLOCK = Clock("rates:up=8,down=8,delay=10", "lognormal:speed=0.00001,sigma=1", seed=2)
OPTIONS = Options(mode="async", init="independent", seed=3)


def data(samples: int = 8):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(COUNT, samples, 4)).astype(np.float32)
    return [(each, (each[:, 0] > 0).astype(np.int64)) for each in x]


def net(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))


def swarm(options: Options = OPTIONS, rounds: int = 3, rate: float = 0.1, **rest) -> Swarm:
    training = TrainOptions(batch_size=4, learning_rate=rate)
    job = Job(net, data(), data()[0], rounds, training=training, **{"clock": CLOCK, **rest})
    return Swarm(job, Gossip(schedule("ring", COUNT, 0), options, np.full(COUNT, 8)))


def models(made: Swarm) -> torch.Tensor:
    return torch.cat([t.flatten(1) for t in made.stack.tensors.values()], 1)


def test_averaging_in_pairs_keeps_the_mean_and_brings_all_together() -> None:
    made = swarm(replace(OPTIONS, consensus_steps=3), rounds=20, rate=1e-30)
    still = swarm(replace(OPTIONS, consensus_steps=0), rounds=1, rate=1e-30)
    [*_, last], _ = made.run().rounds, still.run()
    torch.testing.assert_close(models(made).mean(0), models(still).mean(0))
    assert last.consensus_distance < 1e-3
    assert last.bytes_sent == 2 * 3 * COUNT * made.block.message_bytes
    assert last.bytes_transmitted is None


def test_alone_it_is_what_rounds_are() -> None:
    """With nobody to average with, only the order of the trainings differs."""
    alone = {"clock": replace(CLOCK, compute="constant:speed=0.00001")}
    made = swarm(replace(OPTIONS, consensus_steps=0), **alone)
    known = swarm(replace(OPTIONS, consensus_steps=0, mode="sync"), **alone)
    ours, theirs = made.run(), known.run()
    torch.testing.assert_close(models(made), models(known))
    assert [r.clock.seconds for r in ours.rounds] == pytest.approx(
        [r.clock.seconds for r in theirs.rounds]
    )


class OneSlow(Compute):
    """Device 0 takes four times as long as the others."""

    def speed_of(self, devices, round_number):
        return np.where(np.asarray(devices) == 0, 1.0, 4.0)


def test_nobody_waits_for_the_slow_one() -> None:
    clock = Clock("rates:up=1e9,down=1e9", OneSlow(), operations=1.0)  # 8 s or 2 s for 8 samples
    run = swarm(rounds=7, clock=clock).run()
    assert run.rounds[-1].clock.waiting.max < 1e-3
    # In 16 s the others have trained 8 times each, the slow one twice: 42 are 7 rounds of 6.
    assert sum(r.clock.seconds for r in run.rounds) == pytest.approx(16.0, abs=1e-3)
    sync = swarm(Options(seed=3), rounds=7, clock=clock).run()
    assert sum(r.clock.seconds for r in sync.rounds) > 50


def test_it_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(tmp_path) -> None:
    options = replace(OPTIONS, links="bernoulli:up=0.7+churn:away=0.2,absence=2")
    path = tmp_path / "checkpoint.pt"
    swarm(options, rounds=2, checkpoint=path).run()
    again, whole = swarm(options, rounds=5, checkpoint=path), swarm(options, rounds=5)
    ours, theirs = again.run(), whole.run()
    assert torch.equal(models(again), models(whole))
    assert [r.clock for r in ours.rounds] == [r.clock for r in theirs.rounds]
    assert [r.bytes_sent for r in ours.rounds] == [r.bytes_sent for r in theirs.rounds]
    lost = [r.bytes_transmitted - r.bytes_sent for r in theirs.rounds]
    assert min(lost) >= 0
    assert sum(lost) > 0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"algorithm": "gradient-tracking"}, "algorithm"),
        ({"codec": "int8"}, "codec"),
        ({"mixing": "median"}, "mixing"),
    ],
)
def test_what_does_not_suit_is_refused(changes, word) -> None:
    with pytest.raises(ConfigError, match=word):
        swarm(replace(OPTIONS, **changes))


def test_there_is_no_deadline_where_nobody_waits() -> None:
    with pytest.raises(ConfigError, match="none does"):
        swarm(clock=replace(CLOCK, deadline=1.0))


def test_it_needs_a_clock_and_devices_that_gossip() -> None:
    with pytest.raises(ConfigError, match="needs a clock"):
        swarm(clock=None)
    plan = Averaging(np.full(COUNT, 8))
    plan.asynchronous = True
    with pytest.raises(ConfigError, match="devices that gossip"):
        Swarm(Job(net, data(), None, 1, clock=CLOCK), plan)
