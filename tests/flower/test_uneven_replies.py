"""What devices report where they do not report alike, or cannot score what they have trained."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.client import NumPyClient
from local_grid import LocalGrid
from toy_app import device, make_app, run, values

from p2pl_flower import MemoryRelay, PeerApp
from p2pl_flower.errors import DeviceError

Reply = Callable[[Message, Context], Any]


def app_with(kind: str, change: Reply) -> tuple[Any, Any]:
    """Return the toy app, one of whose functions returns what ``change`` makes of the message."""
    app, relay = make_app()
    app._registered_funcs[f"{kind}.default"] = change
    return app, relay


def reporting(metrics: Callable[[int], dict[str, Any]]) -> Reply:
    def evaluate(message: Message, context: Context) -> Message:
        content = RecordDict({"metrics": MetricRecord(metrics(device(context)))})
        return Message(content, reply_to=message)

    return evaluate


def test_the_mean_of_a_metric_is_over_the_devices_that_report_it() -> None:
    some = reporting(lambda d: {"num-examples": 1 + d, **({"x": float(d)} if d else {})})
    app, relay = app_with("evaluate", some)
    _, result = run(LocalGrid(app, 3), relay, topology="ring")
    assert result.evaluate_metrics_clientapp[2] == {"x": pytest.approx((2 * 1 + 3 * 2) / 5)}
    assert result.train_metrics_clientapp[2]["after-training-x"] == pytest.approx(1.6)


def test_lists_of_different_lengths_have_no_mean(caplog: pytest.LogCaptureFixture) -> None:
    lists = reporting(lambda d: {"num-examples": 1, "l": [0.5] * (d + 1), "loss": 2.0})
    app, relay = app_with("evaluate", lists)
    _, result = run(LocalGrid(app, 3), relay, topology="ring")
    assert result.evaluate_metrics_clientapp[2] == {"loss": pytest.approx(2.0)}
    assert "metric 'l' has no mean" in caplog.text

    def longest(contents: list[RecordDict], weighted_by_key: str) -> MetricRecord:
        return MetricRecord({"longest": max(len(c["metrics"]["l"]) for c in contents)})

    _, result = run(LocalGrid(app, 3), relay, topology="ring", evaluate_metrics_aggr_fn=longest)
    assert result.evaluate_metrics_clientapp[2] == {"longest": 3}


def test_a_metric_of_ones_own_that_is_named_like_ours() -> None:
    named = reporting(lambda d: {"num-examples": 1, "after-training-x": 4.0})
    app, relay = app_with("evaluate", named)
    _, result = run(LocalGrid(app, 3), relay, topology="ring")
    assert result.evaluate_metrics_clientapp[2] == {"after-training-x": 4.0}


@pytest.mark.parametrize("count", [-1, float("nan"), [3, 4]])
def test_weights_of_scores_are_numbers_of_samples(count: Any) -> None:
    app, relay = app_with("evaluate", reporting(lambda d: {"num-examples": count, "loss": 1.0}))
    with pytest.raises(DeviceError, match="must report 'num-examples' as a number of at least 0"):
        run(LocalGrid(app, 3), relay, topology="ring")


def refusing(where: Callable[[int], bool]) -> tuple[Any, Any]:
    app, relay = make_app()
    theirs = app._registered_funcs["evaluate.default"]

    def evaluate(message: Message, context: Context) -> Message:
        if where(device(context)):
            raise ZeroDivisionError("no test data")
        return theirs(message, context)

    app._registered_funcs["evaluate.default"] = evaluate
    return app, relay


def test_training_is_not_lost_with_its_scores(caplog: pytest.LogCaptureFixture) -> None:
    app, relay = refusing(lambda d: d == 2)
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, result = run(LocalGrid(app, 3), relay, topology="complete")
    whole, relay = make_app()
    _, expected = run(LocalGrid(whole, 3), relay, topology="complete")
    assert values(result.arrays)["w"] == pytest.approx(values(expected.arrays)["w"])
    assert sorted(strategy.train_metrics) == [0, 1, 2]
    assert sorted(strategy.evaluate_metrics) == [0, 1]
    assert "device 2 failed at after-training-evaluate: ZeroDivisionError: no test" in caplog.text


@pytest.mark.parametrize(("where", "on_failure"), [(0, "skip"), (2, "raise")])
def test_the_run_ends_where_nobody_can_score_or_none_may_fail(where: int, on_failure: str) -> None:
    app, relay = refusing(lambda d: d >= where)
    with pytest.raises(DeviceError, match=r"failed at after-training-evaluate: ZeroDivisionErr"):
        run(LocalGrid(app, 3), relay, topology="ring", on_failure=on_failure)


@pytest.mark.parametrize("kind", ["train", "evaluate"])
@pytest.mark.parametrize("returned", [None, RecordDict()])
def test_what_is_no_message_is_named(kind: str, returned: Any) -> None:
    app, relay = app_with(kind, lambda message, context: returned)
    name = type(returned).__name__
    with pytest.raises(DeviceError, match=f"the {kind} function returned no Message but {name}"):
        run(LocalGrid(app, 3), relay, topology="ring")


def test_a_record_of_our_name_is_refused() -> None:
    def evaluate(message: Message, context: Context) -> Message:
        content = RecordDict({"p2pl": MetricRecord({"num-examples": 1})})
        return Message(content, reply_to=message)

    app, relay = app_with("evaluate", evaluate)
    with pytest.raises(DeviceError, match="the evaluate function returns a record named 'p2pl'"):
        run(LocalGrid(app, 3), relay, topology="ring")


class Client(NumPyClient):
    """It has trained nothing, or begins with nothing."""

    def __init__(self, begins: list[Any]) -> None:
        self._begins = begins

    def get_parameters(self, config: Any) -> list[Any]:
        return self._begins

    def fit(self, parameters: Any, config: Any) -> tuple[list[Any], int, dict[str, Any]]:
        return [], 1, {}


@pytest.mark.parametrize("begins", [[], [np.zeros(2)]])
def test_clients_that_return_no_arrays(begins: list[Any]) -> None:
    relay = MemoryRelay()
    app = PeerApp(lambda context: Client(begins).to_client(), relay=relay)
    with pytest.raises(DeviceError, match=r"array '\w+' is no array: return the model's arr"):
        run(LocalGrid(app, 3), relay, initial=ArrayRecord(), topology="ring")
