"""Projects with a ``client_fn``, under P2PL and under FedAvg, in one process."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.client import NumPyClient
from flwr.serverapp.strategy import FedAvg
from local_grid import LocalGrid
from test_strategy import by_hand, nx

from p2pl_flower import P2PL, MemoryRelay, PeerApp
from p2pl_flower.errors import DeviceError

START = ArrayRecord([np.zeros(2), np.zeros(())])


class HalfWay(NumPyClient):
    """w goes half of the way to the device's id; the legacy way to write it."""

    def __init__(self, own: int, fail: bool) -> None:
        self.own, self.fail = own, fail

    def fit(self, parameters, config):
        if self.fail and config["server-round"] == 2:
            raise ValueError("disk full")
        metrics = {"train_loss": 1.0, "device": f"device {self.own}"}
        return [np.asarray(0.5 * (w + self.own)) for w in parameters], 10 * (self.own + 1), metrics

    def evaluate(self, parameters, config):
        return float(parameters[0][0]), 5, {"accuracy": 0.5, "depth": config["depth"]}


def make_app(relay=None, fail: bool = False) -> PeerApp:
    def client_fn(context: Context):
        return HalfWay(int(context.node_config["partition-id"]), fail).to_client()

    return PeerApp(client_fn, relay=relay)


def test_numpy_clients_train_peer_to_peer() -> None:
    relay = MemoryRelay()
    strategy = P2PL("ring", relay=relay)
    config = ConfigRecord({"depth": 3})
    result = strategy.start(
        LocalGrid(make_app(relay), 5), START, 2, evaluate_config=config, train_config=config
    )
    expected = by_hand(nx.cycle_graph(5), 2)
    assert result.arrays["0"].numpy() == pytest.approx([expected.mean()] * 2)
    assert result.evaluate_metrics_clientapp[2]["depth"] == pytest.approx(3)
    assert result.evaluate_metrics_clientapp[2]["loss"] == pytest.approx(expected.mean())
    assert strategy.rounds[1].after_consensus.loss.max == pytest.approx(expected.max())
    assert strategy.rounds[1].after_training.accuracy.mean == 0.5


def test_the_same_clients_answer_fedavg() -> None:
    config = ConfigRecord({"depth": 3})
    strategy = FedAvg(min_available_nodes=5)
    result = strategy.start(LocalGrid(make_app(), 5), START, 1, evaluate_config=config)
    shares = np.arange(1, 6) / 15
    assert result.arrays["0"].numpy() == pytest.approx([shares @ np.arange(5) / 2] * 2)
    assert result.evaluate_metrics_clientapp[1]["accuracy"] == 0.5


def test_a_client_that_raises_is_named() -> None:
    relay = MemoryRelay()
    with pytest.raises(DeviceError, match="disk full"):
        P2PL("ring", relay=relay, evaluate_every=0).start(
            LocalGrid(make_app(relay, fail=True), 3), START, 3
        )
