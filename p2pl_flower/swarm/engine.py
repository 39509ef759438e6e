"""The round loop of the swarm: the same one for every contender."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..algorithms.max_norm import bound_of, plausible
from ..errors import ConfigError
from ..history import Round, Run, Scores
from ..options import ScoredRounds, Spending, Timing
from ..seeding import Stream, derive, generator, trial_draws
from .asynchronous import Asynchronous
from .block import Block
from .checkpoint import Checkpoint
from .cluster import Blocks, RayCluster
from .common import Common
from .drawing import drawn_norms
from .job import Job
from .plans import Plan
from .progress import Progress
from .scoring import scores_of
from .stack import Stack
from .workers import Ids

_NOW = "simulated time"
"""Name of what a checkpoint holds."""


class Swarm:
    """All devices of one run.

    Parameters
    ----------
    job : Job
        What is trained.
    plan : Plan
        Who trains when, and how models are mixed.

    Attributes
    ----------
    block : Block or Blocks
        The devices, in this process or on the nodes of a Ray cluster.
    measured : Run
        What the rounds so far measured.

    Raises
    ------
    ConfigError
        Options do not fit each other, the module cannot be mapped over devices, or the
        run does not fit into memory.
    """

    def __init__(self, job: Job, plan: Plan) -> None:
        self.job, self.plan = job, plan
        self.measured = Run(job.name, "swarm", plan.seed, plan.devices)
        every = 0 if job.test is None else job.evaluate_every
        self._spending = Spending(plan.privacy)
        self._scored = ScoredRounds(every, job.rounds, job.evaluate_trained, job.fraction_evaluate)
        common = Common(
            plan.seed,
            plan.algorithm,
            plan.shared,
            plan.scope,
            plan.mixing,
            plan.devices,
            plan.coder,
            plan.privacy,
            plan.hostile,
            Asynchronous.copies if plan.asynchronous else 0,
        )
        spread = isinstance(job.machine, RayCluster)
        if spread and len(plan.hostile.devices):
            rule = "with hostile devices all are in one process: they may know what others send"
            raise ConfigError("machine", "RayCluster", rule)
        self.block = Blocks(job, common) if spread else Block(job, common)
        self._timing = Timing.of(job.clock, plan.devices, self.block.one.numbers)
        self.plan.timing = self._timing
        self._events = self._asynchronous() if plan.asynchronous else None
        if self.block.devices != plan.devices:
            rule = f"must hold {plan.devices} devices' samples, as many as the plan has devices"
            raise ConfigError("data", self.block.devices, rule)

    @property
    def stack(self) -> Stack:
        """The models."""
        return self.block.stack

    def run(self) -> Run:
        """Run all rounds that have not been run yet, and return what was measured."""
        job = self.job
        kept = Checkpoint(job.checkpoint, self._identity()) if job.checkpoint else None
        resumed = kept is not None and self._resume(kept)
        progress = Progress(job.rounds, job.progress)
        with self.block:
            if not resumed:
                self.start()
            for number in range(len(self.measured.rounds) + 1, job.rounds + 1):
                measured = self._round(number)
                self.measured.rounds.append(measured)
                progress.show(measured)
                if job.on_round is not None:
                    job.on_round(measured)
                if kept and (number == job.rounds or number % job.checkpoint_every == 0):
                    kept.save(self.measured, {**self.block.state(), **self._times()})
        return self.measured

    def start(self) -> None:
        """Draw the initial models, and synchronize them where the plan says so."""
        started, plan, block = time.perf_counter(), self.plan, self.block
        setup: Mapping[str, Any] = {}
        if self.job.initial is not None:
            block.set_initial(self.job.initial)
        else:
            drawn = 1 if plan.shared_start else plan.devices
            seeds = [derive(plan.seed, Stream.INIT, device) for device in range(drawn)]
            norms = block.draw(seeds)
            if plan.bounded:
                trials = trial_draws(plan.seed)
                usual = drawn_norms(block.one, self.job.model, trials, plan.scope)
                norms = plausible(norms, bound_of(usual))
            size = block.one.all_bytes if plan.shared_start else block.one.drawn_bytes
            start = plan.start(norms, size)
            block.follow(seeds, start.origins)
            setup = {**start.setup, **self._synchronized(start.setup)}
        block.begin()
        if self._events is not None:
            self._events.begin(setup.get("clock_seconds", 0.0))
        seconds = time.perf_counter() - started
        timed = {"seconds": seconds} if setup else {}
        self.measured.setup = {**setup, **timed, "path": block.path, **self._spending.each}

    def _round(self, number: int) -> Round:
        """Train, mix and measure once."""
        if self._events is not None:
            return self._round_of_events(number, self._events)
        started, block = time.perf_counter(), self.block
        measured, devices = Round(number), self.plan.trains(number)
        block.train(devices, number)
        self._spending.trained(devices.tolist())
        measured.epsilon = self._spending.epsilon
        if self._scored.due_after_training(number):
            measured.after_training = self._scores(self.plan.hostile.honest(devices), number)
        sent = block.mix(self.plan.mixings(number))
        if self._scored.due(number):
            measured.after_consensus = self._scores(self.plan.scored(number), number, each=True)
            measured.consensus_distance = block.consensus_distance()
        traffic = self.plan.traffic(sent, number, block.message_bytes)
        for name, value in traffic.items():
            setattr(measured, name, value)
        if self._timing is not None:
            sizes = sent, block.message_bytes
            measured.clock = self.plan.elapsed(self._timing, number, *sizes)
        block.wait()
        measured.seconds = time.perf_counter() - started
        return measured

    def _round_of_events(self, number: int, events: Asynchronous) -> Round:
        """Let as many trainings end as there are devices, whosesoever they are, and measure."""
        started, block, measured = time.perf_counter(), self.block, Round(number)
        events.round(number)
        if self._scored.due(number):
            measured.after_consensus = self._scores(self.plan.scored(number), number, each=True)
            measured.consensus_distance = block.consensus_distance()
        measured.bytes_sent, measured.bytes_through_server = int(events.sent.sum()), 0
        measured.bytes_sent_busiest = int(events.sent.max())
        if events.may_lose:
            measured.bytes_transmitted = events.transmitted
        measured.clock = events.elapsed()
        block.wait()
        measured.seconds = time.perf_counter() - started
        return measured

    def _asynchronous(self) -> Asynchronous:
        """Return what lets devices train and mix each in its own time."""
        if self._timing is None or not isinstance(self.block, Block):
            rule = "needs a clock, to know who is done when: network='wifi', say; and one process"
            raise ConfigError("mode", "async", rule)
        if self.job.clock.deadline:
            rule = "is how long devices wait for each other: with mode='async' none does"
            raise ConfigError("deadline", self.job.clock.deadline, rule)
        return Asynchronous(self.plan, self.block, self._timing)

    def _scores(self, devices: Ids, number: int, each: bool = False) -> Scores | None:
        draw = generator(self.plan.seed, Stream.EVALUATE, number)
        chosen = self._scored.drawn(devices, draw)
        values = self.block.values(chosen) if len(chosen) else None
        return None if values is None else scores_of(values, chosen.tolist() if each else ())

    def _synchronized(self, setup: Mapping[str, int]) -> dict[str, float]:
        """Return what the start took by the clock, where there is one."""
        if self._timing is None:
            return {}
        return {"clock_seconds": self.plan.synchronized(self._timing, setup)}

    def _times(self) -> dict[str, Tensor]:
        """Return each device's simulated time, for a checkpoint."""
        if self._events is not None:
            return self._events.tensors()
        return {} if self._timing is None else {_NOW: torch.from_numpy(self._timing.watch.now)}

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for a checkpoint to be continued."""
        alike = self.block.one.tensors.items()
        shapes = {name: [self.plan.devices, *tensor.shape[1:]] for name, tensor in alike}
        return {
            "plan": type(self.plan).__name__,
            **self.plan.describe(),
            "samples": self.block.samples.tolist(),
            "model": shapes,
            "path": self.block.path,
            **({} if self._timing is None else self.job.clock.described()),
            **{f"training-{k}": v for k, v in self.job.training.describe().items()},
        }

    def _resume(self, kept: Checkpoint) -> bool:
        """Take up a saved state, if there is one."""
        found = kept.load(self.block.torch_device)
        if found is None:
            return False
        run, tensors = found
        if len(run.rounds) > self.job.rounds:
            rule = f"must be at least the {len(run.rounds)} rounds of the checkpoint"
            raise ConfigError("rounds", self.job.rounds, rule)
        self.measured.setup, self.measured.rounds = run.setup, run.rounds
        if self._events is not None:
            self._events.restore(tensors)
        elif self._timing is not None:
            self._timing.watch.set(tensors.pop(_NOW).cpu().numpy())
        self.block.restore(tensors)
        for done in run.rounds:
            trained = self.plan.trains(done.round)  # plans note who has trained
            self._spending.trained(trained.tolist())
        return True
