"""Numbers of samples that are 0, or fractions, or no numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flwr.app import Message, MetricRecord
from flwr.serverapp.strategy import FedAvg
from local_grid import LocalGrid
from toy_app import START, device, make_app, run, values

from p2pl_flower import MemoryRelay, PeerApp
from p2pl_flower.errors import DeviceError

SHARES = [0.4, 0.3, 0.3]


def counting(metrics: Any) -> tuple[PeerApp, MemoryRelay]:
    """Return the toy app whose train function reports what ``metrics`` makes of its device."""
    app, relay = make_app()
    theirs = app._registered_funcs["train.default"]

    def train(message: Message, context: Any) -> Message:
        reply = theirs(message, context)
        reply.content["metrics"] = MetricRecord(metrics(device(context)))
        return reply

    app._registered_funcs["train.default"] = train
    return app, relay


@pytest.mark.parametrize("weights", ["metropolis", "uniform"])
def test_no_samples_at_all(weights: str) -> None:
    app, relay = counting(lambda d: {"num-examples": 0, "train_loss": float(d)})
    _, result = run(LocalGrid(app, 3), relay, topology="complete", weights=weights)
    assert values(result.arrays)["w"] == pytest.approx([0.75] * 2)
    assert result.train_metrics_clientapp[1]["train_loss"] == 1.0  # the plain mean
    assert "num-examples" not in result.train_metrics_clientapp[1]


def test_fractions_are_weights_as_under_fedavg() -> None:
    app, relay = counting(lambda d: {"importance": SHARES[d], "num-examples": 10})
    options = {"topology": "complete", "weights": "data-size", "init": "shared"}
    _, result = run(
        LocalGrid(app, 3),
        relay,
        rounds=3,
        weighted_by_key="importance",
        evaluate_every=0,
        **options,
    )
    app, _ = counting(lambda d: {"importance": SHARES[d], "num-examples": 10})
    fedavg = FedAvg(min_available_nodes=3, weighted_by_key="importance", fraction_evaluate=0.0)
    federated = fedavg.start(LocalGrid(app, 3), START, 3)
    assert values(result.arrays)["w"] == pytest.approx(values(federated.arrays)["w"], abs=1e-12)
    assert values(result.arrays)["w"][0] == pytest.approx(np.dot(SHARES, range(3)) * (1 - 0.5**3))


@pytest.mark.parametrize("count", [-1, float("nan"), float("inf"), [3, 4]])
def test_what_is_no_number_of_samples_is_refused(count: Any) -> None:
    app, relay = counting(lambda d: {"num-examples": count})
    with pytest.raises(DeviceError, match="must report 'num-examples' as a number of at least 0"):
        run(LocalGrid(app, 3), relay, topology="ring")
