"""Flower's own FedAvg, unmodified: a server averages all devices' models in every round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg as FlowerFedAvg

from p2pl_flower.errors import ConfigError
from p2pl_flower.flower import records
from p2pl_flower.flower.grids import MeteredGrid
from p2pl_flower.flower.membership import Membership
from p2pl_flower.flower.messages import to_model
from p2pl_flower.flower.metrics import RoundMetrics, as_number
from p2pl_flower.history import Elapsed, Round, Run
from p2pl_flower.options import Clock, ScoredRounds, Timing, number_count
from p2pl_flower.seeding import Stream, generator
from p2pl_flower.swarm.plans import Averaging, Plan

from .base import Contender, Task


class FedAvg(Contender):
    """Federated averaging over all devices, or a sample of them, in every round."""

    name = "fedavg"

    def plan(self, task: Task, samples: Sequence[int]) -> Plan:
        """Return averaging by the shares of the samples."""
        _check_deadline(task)
        counts = np.asarray(samples, dtype=np.int64)
        return Averaging(counts, task.fraction_train, task.seed, task.server_gone)

    def run(self, grid: Grid, task: Task) -> Run:
        """Train by federated averaging."""
        _check_deadline(task)
        devices = task.devices or len(list(grid.get_node_ids()))
        count = self.devices(devices)
        keeping = _Keeping(grid, task, count)
        strategy = FlowerFedAvg(
            fraction_train=task.fraction_train,
            fraction_evaluate=0.0,  # all devices hold the same model: it is scored once
            min_train_nodes=max(1, int(task.fraction_train * count)),
            min_available_nodes=count,
        )
        result = strategy.start(
            keeping.grid,
            task.initial_arrays,
            task.rounds,
            task.timeout,
            evaluate_fn=keeping.after_averaging,
        )
        if task.on_result is not None:
            task.on_result(result.arrays)
        return Run(self.name, "flower", task.seed, count, {}, keeping.rounds())


def _check_deadline(task: Task) -> None:
    if task.clock is not None and task.clock.deadline:
        rule = "is for devices that wait for each other: a server of Flower's waits for all"
        raise ConfigError("deadline", task.clock.deadline, rule)


class _ScoringGrid(MeteredGrid):
    """Asks devices, beside what FedAvg tells them, to score the models that they have trained.

    FedAvg itself does not see the scores: it wants the same metrics of all devices.
    """

    def __init__(
        self,
        grid: Grid,
        task: Task,
        scored: ScoredRounds,
        count: int,
        hear: Callable[[list[MetricRecord]], None],
    ) -> None:
        super().__init__(grid)
        self._scored, self._count, self._hear, self._seed = scored, count, hear, task.seed
        self._membership = Membership(grid, task.timeout)
        self._timed = task.clock is not None and task.clock.network.is_there
        self.samples: dict[int, float] = {}
        self._gone = task.server_gone

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Add what asks for scores to the messages of a round in which they are due.

        Take them out of the replies.
        """
        listed = list(messages)
        rounds = {int(str(m.content.config_records["config"]["server-round"])) for m in listed}
        if rounds & {*self._gone}:
            self.samples = {}
            return []  # nobody hears of them
        due = [number for number in rounds if self._scored.due_after_training(number)]
        for message in self._drawn(listed, due[0]) if due else ():
            message.content = RecordDict({**message.content})  # others have the same one
            records.ask_for_scores(message.content)
        replies = list(super().send_and_receive(listed, timeout=timeout))
        if self._timed and listed:
            self.samples = self._samples_in(replies)
        return self._without_scores(replies) if due else replies

    def device_at(self, node: int) -> int:
        """Return the device whose node it is: devices are asked once who they are."""
        if not self._membership.devices:
            self._membership.gather(self._count, self._count, patience=0.0)
        return self._membership.device_at(node)

    def _samples_in(self, replies: list[Message]) -> dict[int, float]:
        """Return how many samples devices say they have trained on."""
        said = {
            self.device_at(reply.metadata.src_node_id): list(reply.content.metric_records.values())
            for reply in replies
            if not reply.has_error()
        }
        return {d: as_number(record[records.COUNT]) for d, [record, *_] in said.items()}

    def _without_scores(self, replies: list[Message]) -> list[Message]:
        """Hand on the scores in replies, and return the replies without them."""
        good = [reply for reply in replies if not reply.has_error()]
        self._hear([m for reply in good for m in reply.content.metric_records.values()])
        for reply in good:
            reply.content = records.without_scores(reply.content)
        return replies

    def _drawn(self, listed: Sequence[Message], number: int) -> Iterable[Message]:
        """Return the messages to those devices that are to be scored, as in the swarm."""
        if self._scored.fraction == 1:
            return listed
        by_device = {self.device_at(m.metadata.dst_node_id): m for m in listed}
        draw = generator(self._seed, Stream.EVALUATE, number)
        return [by_device[d] for d in self._scored.drawn(sorted(by_device), draw).tolist()]


class _Keeping:
    """Keeps the score through the callbacks that FedAvg offers, and a metered grid."""

    def __init__(self, grid: Grid, task: Task, count: int) -> None:
        self.keeper = RoundMetrics(task.on_round)
        self._task = task
        self.scored = ScoredRounds(
            task.evaluate_every,
            task.rounds,
            task.evaluate_trained,
            task.fraction_evaluate,
        )
        self.grid = _ScoringGrid(grid, task, self.scored, count, self.keeper.after_training)
        self._sent: dict[int, Counter[int]] = {}
        numbers = number_count(to_model(task.initial_arrays))
        self._count, self._timing = count, Timing.of(task.clock or Clock(), count, numbers)

    def rounds(self) -> list[Round]:
        """Return the rounds, with the model bytes that went between server and devices."""
        self.keeper.sent(self._sent)
        return self.keeper.rounds

    def _elapsed(self, number: int) -> Elapsed | None:
        """Return what a round took by the clock, which one device alone does not send in."""
        if self._timing is None:
            return None
        trained, samples = sorted(self.grid.samples), np.zeros(self._count)
        samples[trained] = [self.grid.samples[device] for device in trained]
        if self._count == 1:
            return self._timing.gossip(number, trained, samples, [], [0])
        both_ways = self._sent[number].total() / max(len(trained), 1)
        return self._timing.averaging(number, trained, samples, both_ways / 2, both_ways / 2)

    def after_averaging(self, server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        """Score the average, which every device starts the next round from."""
        metrics = None
        if server_round > 0:
            if self.scored.due(server_round):
                metrics = self._task.evaluate(arrays)
                self.keeper.after_consensus([metrics])
                self.keeper.distance(0.0)
            self._sent[server_round] = self.grid.array_bytes - sum(self._sent.values(), Counter())
            self.keeper.took(self._elapsed(server_round))
            self.keeper.end(self.grid.total_bytes)
        self.keeper.begin(server_round + 1, self.grid.total_bytes)
        return metrics
