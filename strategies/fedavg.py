"""Flower's own FedAvg, unmodified: a server averages all devices' models in every round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg as FlowerFedAvg

from p2pl_flower.flower import records
from p2pl_flower.flower.grids import MeteredGrid
from p2pl_flower.flower.metrics import RoundMetrics
from p2pl_flower.history import Round, Run
from p2pl_flower.options import ScoredRounds
from p2pl_flower.swarm.plans import Averaging, Plan

from .base import Contender, Task


class FedAvg(Contender):
    """Federated averaging over all devices, or a sample of them, in every round."""

    name = "fedavg"

    def plan(self, task: Task, samples: Sequence[int]) -> Plan:
        """Return averaging by the shares of the samples."""
        return Averaging(np.asarray(samples, dtype=np.int64), task.fraction_train, task.seed)

    def run(self, grid: Grid, task: Task) -> Run:
        """Train by federated averaging."""
        devices = task.devices or len(list(grid.get_node_ids()))
        count = self.devices(devices)
        keeping = _Keeping(grid, task)
        strategy = FlowerFedAvg(
            fraction_train=task.fraction_train,
            fraction_evaluate=0.0,  # all devices hold the same model: it is scored once
            min_train_nodes=max(1, int(task.fraction_train * count)),
            min_available_nodes=count,
            train_metrics_aggr_fn=keeping.after_training,
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


class _ScoringGrid(MeteredGrid):
    """Asks devices, beside what FedAvg tells them, to score the models that they have trained."""

    def __init__(self, grid: Grid, scored: ScoredRounds) -> None:
        super().__init__(grid)
        self._scored = scored

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Add what asks for scores to the messages of a round in which they are due."""
        listed = list(messages)
        for message in listed:
            config = message.content.config_records["config"]
            if self._scored.due_after_training(int(str(config["server-round"]))):
                records.ask_for_scores(message.content)
        return super().send_and_receive(listed, timeout=timeout)


class _Keeping:
    """Keeps the score through the callbacks that FedAvg offers, and a metered grid."""

    def __init__(self, grid: Grid, task: Task) -> None:
        self.keeper = RoundMetrics(task.on_round)
        self._task = task
        self.scored = ScoredRounds(task.evaluate_every, task.rounds, task.evaluate_trained)
        self.grid = _ScoringGrid(grid, self.scored)
        self._average = FlowerFedAvg().train_metrics_aggr_fn
        self._sent: dict[int, Counter[int]] = {}

    def rounds(self) -> list[Round]:
        """Return the rounds, with the model bytes that went between server and devices."""
        self.keeper.sent(self._sent)
        return self.keeper.rounds

    def after_training(self, records: list[RecordDict], weighted_by: str) -> MetricRecord:
        """Score the devices' models before they are averaged."""
        self.keeper.after_training(r for c in records for r in c.metric_records.values())
        return self._average(records, weighted_by)

    def after_averaging(self, server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        """Score the average, which every device starts the next round from."""
        metrics = None
        if server_round > 0:
            if self.scored.due(server_round):
                metrics = self._task.evaluate(arrays)
                self.keeper.after_consensus([metrics])
                self.keeper.distance(0.0)
            self._sent[server_round] = self.grid.array_bytes - sum(self._sent.values(), Counter())
            self.keeper.end(self.grid.total_bytes)
        self.keeper.begin(server_round + 1, self.grid.total_bytes)
        return metrics
