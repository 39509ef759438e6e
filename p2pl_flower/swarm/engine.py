"""The round loop of the swarm: the same one for every contender."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..history import Round, Run, Scores
from ..options import ScoredRounds
from ..seeding import Stream, derive, generator
from .checkpoint import Checkpoint
from .hooks import Hooks, extra_bytes
from .initial import set_initial
from .job import Job
from .learner import Learner
from .mapping import learner_for
from .memory import Needs, pick_chunk
from .mixing import consensus_distance
from .options import PRECISIONS
from .plans import Plan
from .progress import Progress
from .samples import Samples
from .scored import fraction_of, some
from .scoring import Scoring
from .sources import samples
from .stack import Stack, draw, fill, norms
from .trainer import Trainer
from .workers import Ids, Workers


class Swarm:
    """All devices of one run, on one machine.

    Parameters
    ----------
    job : Job
        What is trained.
    plan : Plan
        Who trains when, and how models are mixed.

    Attributes
    ----------
    stack : Stack
        The models.
    measured : Run
        What the rounds so far measured.
    learners : Learners
        How devices train.
    needs : Needs
        What was worked out of the memory that the run needs beside its data.

    Raises
    ------
    ConfigError
        Options do not fit each other, the module cannot be mapped over devices, or the
        run does not fit into memory.
    """

    def __init__(self, job: Job, plan: Plan) -> None:
        self.job, self.plan = job, plan
        self.measured = Run(job.name, "swarm", plan.seed, plan.devices)
        self._training = job.training
        self._samples = Samples(job.data, job.machine.torch_device)
        if len(self._samples) != plan.devices:
            rule = f"must hold {plan.devices} devices' samples, as many as the plan has devices"
            raise ConfigError("data", len(self._samples), rule)
        every = 0 if job.test is None else job.evaluate_every
        self._scored = ScoredRounds(every, job.rounds, job.evaluate_trained)
        template = draw(job.model, derive(plan.seed, Stream.INIT, 0)).to(job.machine.torch_device)
        self.learners = learner_for(template, self._training, self._samples, job.machine.path)
        self._threads = 1 if self.learners.draws else job.machine.threads
        self._scoring = self._test()
        chunk = self._fit(template)
        self.stack = Stack(template, plan.devices, job.machine.torch_device, plan.shared)
        self._hooks = Hooks(plan.algorithm, self.stack)
        self._trainer = Trainer(self.stack, self._samples, self._training, chunk, plan.seed)

    def run(self) -> Run:
        """Run all rounds that have not been run yet, and return what was measured."""
        job = self.job
        kept = Checkpoint(job.checkpoint, self._identity()) if job.checkpoint else None
        if kept is None or not self._resume(kept):
            self._start()
        progress = Progress(job.rounds, job.progress)
        keep = job.machine.keep_memory
        with Workers(self.learners.make, self._threads, keep) as workers:
            for number in range(len(self.measured.rounds) + 1, job.rounds + 1):
                measured = self._round(number, workers)
                self.measured.rounds.append(measured)
                progress.show(measured)
                if job.on_round is not None:
                    job.on_round(measured)
                if kept and (number == job.rounds or number % job.checkpoint_every == 0):
                    kept.save(self.measured, self._state())
        return self.measured

    def _start(self) -> None:
        """Draw the initial models, and synchronize them where the plan says so."""
        started, plan, stack = time.perf_counter(), self.plan, self.stack
        setup: Mapping[str, Any] = {}
        if self.job.initial is not None:
            set_initial(stack, self.job.initial)
        else:
            drawn = 1 if plan.shared_start else plan.devices
            seeds = [derive(plan.seed, Stream.INIT, device) for device in range(drawn)]
            fill(stack, self.job.model, seeds)
            size = stack.all_bytes if plan.shared_start else stack.drawn_bytes
            start = plan.start(norms(stack, plan.scope), size)
            stack.take(start.origins)
            setup = start.setup
        self._hooks.start()
        seconds = time.perf_counter() - started
        timed = {"seconds": seconds} if setup else {}
        self.measured.setup = {**setup, **timed, "path": self.learners.path}

    def _round(self, number: int, workers: Workers[Learner]) -> Round:
        """Train, mix and measure once."""
        started = time.perf_counter()
        measured, devices = Round(number), self.plan.trains(number)
        correction = self._hooks.before_training(devices)
        self._trainer.train(devices, number, correction, workers)
        del correction
        self._hooks.after_training(devices)
        if self._scored.due_after_training(number):
            measured.after_training = self._scores(devices, number, workers)
        sent = self._mix(number, workers)
        if self._scored.due(number):
            measured.after_consensus = self._scores(self.plan.scored(number), number, workers)
            measured.consensus_distance = consensus_distance(self.stack, workers.do)
        traffic = self.plan.traffic(sent, number, self._hooks.message_bytes)
        for name, value in traffic.items():
            setattr(measured, name, value)
        if not self.job.machine.is_cpu:
            torch.cuda.synchronize(self.job.machine.torch_device)
        measured.seconds = time.perf_counter() - started
        return measured

    def _mix(self, number: int, workers: Workers[Learner]) -> Ids:
        """Make the round's consensus steps and return how many messages each device sent."""
        sent = np.zeros(self.plan.devices, dtype=np.int64)
        for mixing in self.plan.mixings(number):
            self._hooks.mix(mixing, workers.do)
            sent += mixing.sent
        return sent

    def _test(self) -> Scoring | None:
        """Make the test set ready, if models are ever scored."""
        job = self.job
        if job.test is None or not job.evaluate_every:
            return None
        precision = PRECISIONS[job.evaluate_precision]
        torch_device = job.machine.torch_device
        learner, most = self.learners.make(), job.max_test_samples
        draw = generator(self.plan.seed, Stream.EVALUATE, 0)
        test = some(samples(job.test, "test"), most, draw)
        return Scoring(test, learner, torch_device, precision, job.metrics)

    def _scores(self, devices: Ids, number: int, workers: Workers[Learner]) -> Scores | None:
        if self._scoring is None:
            return None
        draw = generator(self.plan.seed, Stream.EVALUATE, number)
        chosen = fraction_of(devices, self.job.fraction_evaluate, draw)
        return self._scoring.scores(self.stack, chosen, workers)

    def _fit(self, template: nn.Module) -> int:
        """Return the devices in a chunk; refuse a run that does not fit into memory."""
        plan, machine = self.plan, self.job.machine
        one = Stack(template, 1, "meta", plan.shared)
        once, footprint = one.once_bytes, self.learners.footprint
        own = one.nbytes - once
        chunk = pick_chunk(machine, own + footprint.each, plan.devices)
        together = min(plan.devices, chunk * self._threads)
        needs = Needs(
            models=once + plan.devices * own,
            algorithm=plan.devices * extra_bytes(plan.algorithm, one),
            training=footprint.training(together, self._threads),
            kept=footprint.kept,
        )
        self.needs = needs
        needs.check(machine)
        return chunk

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for a checkpoint to be continued."""
        shapes = {name: list(tensor.shape) for name, tensor in self.stack.tensors.items()}
        return {
            "plan": type(self.plan).__name__,
            **self.plan.describe(),
            "samples": self._samples.counts.tolist(),
            "model": shapes,
            "path": self.learners.path,
            **{f"training-{k}": v for k, v in self._training.describe().items()},
        }

    def _state(self) -> dict[str, Tensor]:
        kept = {f"{_KEPT}{name}": tensor for name, tensor in self._hooks.tensors().items()}
        if self.learners.states is not None:
            states = self.learners.states.to_tensors()
            kept |= {f"{_OPTIMIZERS}{name}": tensor for name, tensor in states.items()}
        return {**self.stack.tensors, **kept}

    def _resume(self, kept: Checkpoint) -> bool:
        """Take up a saved state, if there is one."""
        found = kept.load(self.job.machine.torch_device)
        if found is None:
            return False
        run, tensors = found
        if len(run.rounds) > self.job.rounds:
            rule = f"must be at least the {len(run.rounds)} rounds of the checkpoint"
            raise ConfigError("rounds", self.job.rounds, rule)
        self.measured.setup, self.measured.rounds = run.setup, run.rounds
        self.stack.restore(tensors)
        self._hooks.restore(_under(_KEPT, tensors))
        if self.learners.states is not None:
            self.learners.states.load(_under(_OPTIMIZERS, tensors))
        for done in run.rounds:
            self.plan.trains(done.round)  # plans note who has trained
        return True


_KEPT = "kept by the algorithm: "
_OPTIMIZERS = "kept by the optimizers: "


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
