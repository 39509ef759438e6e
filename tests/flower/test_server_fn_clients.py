"""What clients return, and what a ``server_fn`` says of them, in every form that Flower takes."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from flwr.client import Client, NumPyClient
from flwr.common import ndarrays_to_parameters
from flwr.server import Server, ServerConfig
from flwr.server.client_manager import SimpleClientManager
from flwr.server.strategy import FedAvg
from test_server_fn import DEVICES, serve, start
from test_strategy import by_hand, nx

from p2pl_flower.errors import DeviceError

RING = nx.cycle_graph(DEVICES)


class Half(NumPyClient):
    """w goes half of the way to the device's id; metrics of every type, NumPy's among them."""

    def __init__(self, own: int) -> None:
        self.own = own

    def fit(self, parameters, config):
        metrics = {
            "site": f"clinic-{self.own}",
            "key": b"\x00\xff",
            "converged": self.own > 0,
            "f1": np.float32(0.5),
            "epochs": np.int64(3),
            "ok": np.bool_(True),
        }
        return [np.asarray(0.5 * (w + self.own)) for w in parameters], 10, metrics

    def get_parameters(self, config):
        return [np.full(2, 8.0), np.array(8.0)]


class Scored(Half):
    def evaluate(self, parameters, config):
        return float(parameters[0][0]), 5, {"site": "hospital", "accuracy": np.float64(0.5)}


def half(own: int) -> Client:
    return Half(own).to_client()


def scored(own: int) -> Client:
    return Scored(own).to_client()


def test_metrics_reach_the_projects_functions_as_clients_returned_them() -> None:
    seen: list[Any] = []
    after: list[Any] = []

    def aggregate(metrics: list[Any]) -> dict[str, Any]:
        seen.append(metrics)
        return {"sites": len({m["site"] for _, m in metrics}), "f1": np.float32(0.25)}

    strategy = FedAvg(
        initial_parameters=start(),
        fit_metrics_aggregation_fn=aggregate,
        evaluate_metrics_aggregation_fn=lambda metrics: after.append(metrics) or {},
    )
    serve(strategy, rounds=1, client=scored)
    [metrics] = seen
    expected = {"key": b"\x00\xff", "f1": 0.5, "epochs": 3, "ok": True}
    assert metrics == [
        (10, {"site": f"clinic-{d}", "converged": d > 0, **expected}) for d in range(DEVICES)
    ]
    assert type(metrics[1][1]["converged"]) is bool
    assert [m["site"] for _, m in after[0]] == ["hospital"] * DEVICES


def test_the_final_arrays_and_all_metrics_are_handed_out(caplog: pytest.LogCaptureFixture) -> None:
    results: list[Any] = []
    strategy = FedAvg(
        initial_parameters=start(),
        fit_metrics_aggregation_fn=lambda m: {"f1": np.float32(0.25), "all": [1, 2], "who": "us"},
        evaluate_metrics_aggregation_fn=lambda m: {"accuracy": np.mean([0.5, 1.0])},
        evaluate_fn=lambda r, arrays, config: (np.float32(0.5), {"auc": np.float32(0.75)}),
    )
    with caplog.at_level(logging.INFO, "flwr.p2pl"):
        serve(strategy, client=scored, on_result=results.append)
    [result] = results
    assert result.arrays["0"].numpy() == pytest.approx([by_hand(RING, 2).mean()] * 2)
    trained = {k: v for k, v in result.train_metrics_clientapp[2].items() if "after" not in k}
    assert trained == {"f1": 0.25, "all": [1, 2]}
    assert "Metrics that are no numbers: {'who': 'us'}" in caplog.text
    assert result.evaluate_metrics_clientapp[2] == {"accuracy": 0.75}
    assert result.evaluate_metrics_serverapp[2] == {"loss": 0.5, "auc": 0.75}


def test_initialize_parameters_is_called() -> None:
    class Own(FedAvg):
        def initialize_parameters(self, client_manager):
            assert client_manager.num_available() == 0
            assert not client_manager.wait_for(1)
            return ndarrays_to_parameters([np.full(2, 4.0), np.array(4.0)])

    central: list[float] = []
    strategy = Own(evaluate_fn=lambda r, arrays, config: central.append(float(arrays[0][0])))
    serve(strategy, rounds=1, client=half)
    assert central[0] == 4.0


def test_one_client_is_asked_where_there_are_no_initial_parameters() -> None:
    asked: list[int] = []

    class Asked(Scored):
        def get_parameters(self, config):
            asked.append(self.own)
            return super().get_parameters(config)

    central: list[float] = []
    grid = serve(
        FedAvg(evaluate_fn=lambda r, arrays, config: central.append(float(arrays[0][0]))),
        rounds=1,
        client=lambda own: Asked(own).to_client(),
    )
    assert asked == [0]
    assert central == [8.0, pytest.approx(4 + np.arange(DEVICES).mean() / 2)]
    assert all(not content.array_records for _, _, content in grid.log)
    assert all(not reply.content.array_records for reply in grid.replies)


@pytest.mark.parametrize(
    "components",
    [
        {"server": Server(client_manager=SimpleClientManager(), strategy=FedAvg())},
        {},
        {"strategy": FedAvg(), "client_manager": SimpleClientManager()},
    ],
)
def test_components_of_every_form(components: dict[str, Any]) -> None:
    results: list[Any] = []
    given = {**components, "config": ServerConfig(num_rounds=2)}
    serve(None, components=given, client=half, on_result=results.append)
    expected = 2 + by_hand(RING, 2).mean()  # from 8, of which a quarter is left
    assert results[0].arrays["0"].numpy() == pytest.approx([expected] * 2)


def test_clients_without_an_evaluate_function_are_not_scored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[Any] = []
    rounds: list[Any] = []
    given = {
        "initial_parameters": start(),
        "evaluate_metrics_aggregation_fn": lambda metrics: seen.append(metrics) or {},
    }
    serve(FedAvg(**given), client=half, on_round=rounds.append)
    assert seen == []
    assert [r.after_consensus for r in rounds] == [None, None]
    assert caplog.text.count("without an `evaluate` function are not scored") == 1
    serve(FedAvg(**given), client=lambda own: (scored if own == 1 else half)(own))
    assert [len(metrics) for metrics in seen] == [1, 1]


def test_fraction_evaluate_of_zero_means_no_evaluation() -> None:
    def evaluated(**options: Any) -> list[int]:
        strategy = FedAvg(initial_parameters=start(), fraction_evaluate=0.0)
        grid = serve(strategy, client=scored, **options)
        return [d for k, d, _ in grid.log if k == "evaluate.p2pl"]

    assert evaluated() == []
    assert len(evaluated(evaluate_every=1)) == 2 * DEVICES  # what is said here counts


def test_a_fraction_evaluates_as_many_devices_as_under_flower() -> None:
    grid = serve(FedAvg(initial_parameters=start(), fraction_evaluate=0.4), client=scored)
    assert len([k for k, _, _ in grid.log if k == "evaluate.p2pl"]) == 2 * 0.4 * DEVICES


def test_accept_failures_is_what_becomes_of_clients_that_fail() -> None:
    class Failing(Scored):
        def fit(self, parameters, config):
            if self.own == 2:
                raise ValueError("disk full")
            return super().fit(parameters, config)

    options: dict[str, Any] = {"rounds": 1, "client": lambda own: Failing(own).to_client()}
    serve(FedAvg(initial_parameters=start()), **options)
    with pytest.raises(DeviceError, match=r"device 2 failed at train\.p2pl: ValueError: disk full"):
        serve(FedAvg(initial_parameters=start(), accept_failures=False), **options)


def test_an_evaluate_of_the_strategys_own_is_called_with_the_mean_of_all_models() -> None:
    saved: dict[int, float] = {}

    class Saving(FedAvg):
        def evaluate(self, server_round, parameters):
            loss, metrics = super().evaluate(server_round, parameters)
            saved[server_round] = metrics["w"]
            return loss, metrics

    results: list[Any] = []
    strategy = Saving(
        initial_parameters=start(),
        evaluate_fn=lambda r, arrays, config: (0.5, {"w": float(arrays[0][0])}),
    )
    serve(strategy, client=half, on_result=results.append)
    means = {n: pytest.approx(by_hand(RING, n).mean()) for n in (0, 1, 2)}
    assert saved == means
    assert {n: m["w"] for n, m in results[0].evaluate_metrics_serverapp.items()} == means
