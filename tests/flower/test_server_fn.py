"""PeerServerApp: what a ``server_fn`` says is what P2PL does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from flwr.client import Client
from flwr.common import ndarrays_to_parameters
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server import strategy as legacy_strategies
from flwr.server.strategy import FedAvg
from local_grid import RUN_ID, LocalGrid
from test_client_fn import make_app
from test_strategy import by_hand, nx

from p2pl_flower import P2PL, MemoryRelay, PeerApp, PeerServerApp
from p2pl_flower.errors import ConfigError

DEVICES = 5


def serve(
    strategy: FedAvg | None,
    rounds: int = 2,
    client: Callable[[int], Client] | None = None,
    components: dict[str, Any] | None = None,
    **options: Any,
) -> LocalGrid:
    relay = MemoryRelay()
    given = components or {"strategy": strategy, "config": ServerConfig(num_rounds=rounds)}

    def server_fn(context: Context) -> ServerAppComponents:
        assert context.run_config == {"k": 1}
        return ServerAppComponents(**given)

    app = PeerServerApp(server_fn, "ring", relay=relay, **options)
    peers = make_app(relay)
    if client is not None:
        peers = PeerApp(
            lambda context: client(int(context.node_config["partition-id"])), relay=relay
        )
    grid = LocalGrid(peers, DEVICES)
    app(grid, Context(RUN_ID, 1, {}, RecordDict(), {"k": 1}))
    return grid


def start() -> Any:
    return ndarrays_to_parameters([np.zeros(2), np.zeros(())])


def test_the_legacy_strategys_functions_go_on_working() -> None:
    central: list[tuple[int, float]] = []
    fit_metrics: list[Any] = []
    evaluate_metrics: list[Any] = []

    def evaluate_fn(server_round: int, arrays: list[np.ndarray], config: Any) -> Any:
        central.append((server_round, float(arrays[0][0])))
        return 0.5, {"accuracy": 0.25, "note": "not a number"}

    def aggregate(seen: list[Any]) -> Any:
        def function(metrics: list[Any]) -> dict[str, Any]:
            seen.append(metrics)
            return {"devices": len(metrics)}

        return function

    grid = serve(
        FedAvg(
            initial_parameters=start(),
            evaluate_fn=evaluate_fn,
            on_fit_config_fn=lambda server_round: {"lr": 0.1 / server_round},
            on_evaluate_config_fn=lambda server_round: {"depth": server_round},
            fit_metrics_aggregation_fn=aggregate(fit_metrics),
            evaluate_metrics_aggregation_fn=aggregate(evaluate_metrics),
        )
    )
    rates = [c["config"]["lr"] for k, d, c in grid.log if k == "train.p2pl" and d == 0]
    assert rates == [0.1, 0.05]
    depths = [c["config"]["depth"] for k, d, c in grid.log if k == "evaluate.p2pl" and d == 0]
    assert depths == [1, 2]
    expected = [by_hand(nx.cycle_graph(DEVICES), n).mean() for n in (0, 1, 2)]
    assert central == [(n, pytest.approx(mean)) for n, mean in enumerate(expected)]
    assert [[count for count, _ in metrics] for metrics in fit_metrics] == [
        [10, 20, 30, 40, 50]
    ] * 2
    assert [metrics["depth"] for _, metrics in evaluate_metrics[1]] == [2] * DEVICES
    assert all("loss" in metrics for _, metrics in evaluate_metrics[0])


def test_an_evaluate_fn_may_return_nothing() -> None:
    calls: list[int] = []
    strategy = FedAvg(
        initial_parameters=start(),
        evaluate_fn=lambda server_round, arrays, config: calls.append(server_round),
        on_evaluate_config_fn=lambda server_round: {"depth": 1},
    )
    serve(strategy, rounds=1)
    assert calls == [0, 1]


def test_initial_parameters_are_needed() -> None:
    with pytest.raises(ConfigError, match="initial_parameters=None: must be given"):
        serve(FedAvg())


class Saving(FedAvg):
    def aggregate_fit(self, server_round, results, failures):
        raise AssertionError("must not be called")


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (Saving, "does not call aggregate_fit of Saving"),
        (
            lambda **given: legacy_strategies.FedProx(proximal_mu=1.0, **given),
            "does not call configure_fit of FedProx",
        ),
        (FedAvg, ""),
    ],
)
def test_what_is_not_called_is_logged(
    strategy: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    depth = {"on_evaluate_config_fn": lambda server_round: {"depth": 1}}
    serve(strategy(initial_parameters=start(), **depth), rounds=1)
    said = [r.message for r in caplog.records if "does not call" in r.message]
    assert len(said) == bool(words)
    assert all(words in line and "takes evaluate_fn, " in line for line in said)
    at_the_end = [r.message for r in caplog.records if "not called in any round" in r.message]
    assert len(at_the_end) == bool(words)
    assert all("PeerServerApp(on_result=...)" in line for line in at_the_end)


def wrapped(name: str, *arguments: Any) -> Any:
    return getattr(legacy_strategies, name)(FedAvg(initial_parameters=start()), *arguments)


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (
            lambda: wrapped("DifferentialPrivacyServerSideFixedClipping", 1.0, 1.0, 3),
            "strategy='DifferentialPrivacyServerSideFixedClipping': is wrapped .*use LocalDpMod",
        ),
        (
            lambda: wrapped("DifferentialPrivacyClientSideFixedClipping", 1.0, 1.0, 3),
            "'DifferentialPrivacyClientSideFixedClipping': is wrapped around another: ",
        ),
        (lambda: wrapped("DPFedAvgFixed", 3, 1.0), "strategy='DPFedAvgFixed': is wrapped around"),
        (
            lambda: legacy_strategies.FedXgbBagging(),
            "strategy='FedXgbBagging': trees .* cannot be averaged",
        ),
        (
            lambda: legacy_strategies.FedXgbCyclic(),
            "strategy='FedXgbCyclic': trees .* cannot be averaged",
        ),
        (lambda: P2PL("ring"), "strategy='P2PL': .*options to PeerServerApp"),
    ],
)
def test_strategies_that_are_not_supported(strategy: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        serve(strategy())
    assert "\n" not in str(caught.value)


def test_p2pl_returned_by_a_server_fn_names_what_to_use_instead() -> None:
    def server_fn(context: Context) -> ServerAppComponents:
        return ServerAppComponents(strategy=P2PL("ring"), config=ServerConfig(num_rounds=1))

    grid = LocalGrid(make_app(MemoryRelay()), DEVICES)
    with pytest.raises(ConfigError, match=r"PeerServerApp\(server_fn, topology\)"):
        ServerApp(server_fn=server_fn)(grid, Context(RUN_ID, 1, {}, RecordDict(), {}))
    assert grid.log == []


def test_bad_options_are_refused_when_the_app_is_made() -> None:
    with pytest.raises(ConfigError, match="consensus-gamma=2"):
        PeerServerApp(lambda context: None, "ring", consensus_gamma=2)
