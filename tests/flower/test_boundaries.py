"""What is the project's own stays its own: its config, its Context.state, its replies."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from local_grid import LocalGrid
from toy_app import START, device, make_app, record, run, trained, values

from p2pl_flower import MemoryRelay, PeerApp

BIG = 1000


def app_with(train: Any = None, evaluate: Any = None) -> tuple[PeerApp, MemoryRelay]:
    """Return an app whose functions look at, or change, what they are given first."""
    relay = MemoryRelay()
    app = PeerApp(relay=relay)

    @app.train()
    def _(message: Message, context: Context) -> Message:
        if train:
            train(message, context)
        model = trained(values(message.content["arrays"]), device(context))
        content = {"arrays": record(model), "metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict(content), reply_to=message)

    @app.evaluate()
    def _(message: Message, context: Context) -> Message:
        extra = evaluate(message, context) if evaluate else None
        metrics = MetricRecord({"num-examples": 1, "accuracy": 0.5})
        return Message(RecordDict({**(extra or {}), "m": metrics}), reply_to=message)

    return app, relay


def test_functions_see_their_own_records_and_keys_alone() -> None:
    seen: list[tuple[list[str], list[str]]] = []

    def note(message: Message, context: Context) -> None:
        seen.append((list(message.content), sorted(message.content["config"])))

    app, relay = app_with(note, note)
    configs = {"train_config": {"lr": 0.1}, "evaluate_config": {"depth": 3}}
    records = {name: ConfigRecord(config) for name, config in configs.items()}
    run(LocalGrid(app, 4), relay, topology="ring", **records)
    assert {tuple(keys) for keys, _ in seen} == {("arrays", "config")}
    assert {tuple(c) for _, c in seen} == {("lr", "server-round"), ("depth", "server-round")}
    assert list(records["train_config"]) == ["lr"]


def test_aggregation_functions_see_what_functions_returned() -> None:
    seen: list[set[str]] = []

    def aggregate(contents: list[RecordDict], weighted_by_key: str) -> MetricRecord:
        seen.extend(set(c) for c in contents)
        seen.extend(set(c["metrics"]) for c in contents)
        return MetricRecord({"devices": len(contents)})

    app, relay = app_with()
    _, result = run(LocalGrid(app, 3), relay, topology="ring", train_metrics_aggr_fn=aggregate)
    assert {frozenset(s) for s in seen} == {frozenset({"metrics"}), frozenset({"num-examples"})}
    # the scores after training, which nobody returned, stand beside what the function makes
    assert result.train_metrics_clientapp[2] == {"devices": 3, "after-training-accuracy": 0.5}


def test_the_state_is_empty_at_first_and_may_be_replaced() -> None:
    first: list[bool] = []

    def count(message: Message, context: Context) -> None:
        first.append(len(context.state) == 0)
        calls = context.state["calls"]["n"] if "calls" in context.state else 0
        context.state = RecordDict({"calls": MetricRecord({"n": calls + 1})})

    app, relay = app_with(count)
    grid = LocalGrid(app, 3)
    run(grid, relay, rounds=3, topology="random-matchings")
    assert first == [True] * 3 + [False] * 6
    states = [dict(context.state) for context in grid.contexts.values()]
    assert states == [{"calls": {"n": 3}}] * 3


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_arrays_that_evaluate_functions_return_stay_on_the_device(
    steps: int, caplog: pytest.LogCaptureFixture
) -> None:
    def returning(message: Message, context: Context) -> dict[str, ArrayRecord]:
        return {"arrays": record({"w": np.zeros(BIG)}), "more": record({"v": np.zeros(BIG)})}

    app, relay = app_with(evaluate=returning)
    grid = LocalGrid(app, 3)
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, _ = run(grid, relay, topology="ring", consensus_steps=steps)
    assert [r for r in grid.replies if r.has_content() and r.content.array_records] == []
    assert sum(r.bytes_through_server for r in strategy.rounds) < 8 * BIG
    held_back = [line for line in caplog.messages if "evaluate functions return arrays" in line]
    assert len(held_back) == 1
    assert "bytes of device 0" in held_back[0]


def test_large_records_that_are_no_arrays_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    def returning(message: Message, context: Context) -> dict[str, ConfigRecord]:
        return {"pickled": ConfigRecord({"model": bytes(100_000)})}

    app, relay = app_with(evaluate=returning)
    run(LocalGrid(app, 3), relay, topology="ring")
    told = [line for line in caplog.messages if "replies hold large records" in line]
    assert len(told) == 1


def test_an_evaluate_function_for_another_action_alone(caplog: pytest.LogCaptureFixture) -> None:
    relay = MemoryRelay()
    app = PeerApp(relay=relay)
    trains, _ = make_app()
    app.train()(trains._registered_funcs["train.default"])

    @app.evaluate("mine")
    def mine(message: Message, context: Context) -> Message:
        raise AssertionError("must not be called")

    strategy, _ = run(LocalGrid(app, 3), relay, topology="ring")
    assert "no @app.evaluate()" in caplog.text
    assert [r.after_consensus for r in strategy.rounds] == [None, None]
    assert not PeerApp.adopt(app, relay).evaluates


def test_nothing_but_the_start_goes_through_the_server_in_a_message() -> None:
    app, relay = app_with()
    grid = LocalGrid(app, 3)
    run(grid, relay, initial=START, topology="ring")
    assert [kind for kind, _, content in grid.log if content.array_records] == ["query.p2pl_init"]
