"""Strategies that are P2PL with something of their own, and how tests start them."""

from __future__ import annotations

from typing import Any

import networkx as nx
from flwr.app import ArrayRecord, ConfigRecord
from flwr.serverapp.strategy import Result
from local_grid import LocalGrid
from toy_app import START

from p2pl_flower import P2PL, MemoryRelay

RING = nx.cycle_graph(5)


class OwnStart(P2PL):
    """It has the loop of the base class written out, as projects do that save the best model."""

    best: ArrayRecord | None = None

    def start(
        self,
        grid: Any,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Any = None,
    ) -> Result:
        result, arrays = Result(), initial_arrays
        train_config, evaluate_config = train_config or ConfigRecord(), ConfigRecord()
        for number in range(1, num_rounds + 1):
            replies = grid.send_and_receive(
                messages=self.configure_train(number, arrays, train_config, grid), timeout=timeout
            )
            aggregated, metrics = self.aggregate_train(number, replies)
            if aggregated is not None:
                result.arrays = arrays = aggregated
            if metrics is not None:
                result.train_metrics_clientapp[number] = metrics
            replies = grid.send_and_receive(
                messages=self.configure_evaluate(number, arrays, evaluate_config, grid),
                timeout=timeout,
            )
            if metrics := self.aggregate_evaluate(number, replies):
                result.evaluate_metrics_clientapp[number] = metrics
            if evaluate_fn and (found := evaluate_fn(number, arrays)):
                result.evaluate_metrics_serverapp[number] = found
                self.best = ArrayRecord(dict(arrays))
        return result


def start(strategy: P2PL, relay: MemoryRelay, app: Any, rounds: int = 3, **given: Any) -> Result:
    result: Result = strategy.start(LocalGrid(app, 5), START, num_rounds=rounds, **given)
    assert relay._entries == {}  # it is closed
    return result
