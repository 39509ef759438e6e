"""Strategies of people's own that hand on some of the replies, or send some of the messages."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flwr.app import Context, Message
from local_grid import LocalGrid
from own_strategies import OwnStart
from test_result_arrays import Opaque
from toy_app import START, make_app, values

from p2pl_flower import P2PL, MemoryRelay
from p2pl_flower.errors import ConfigError, DeviceError


class Chooses(P2PL):
    """It leaves replies out, as projects do whose clients say that they have not trained."""

    def aggregate_train(self, server_round: int, replies: Any) -> Any:
        kept = [r for r in replies if r.has_content() and r.content["metrics"]["num-examples"] < 40]
        return super().aggregate_train(server_round, kept)


class Sends(P2PL):
    """It asks only some of the devices, by their place."""

    def configure_train(self, *args: Any, **options: Any) -> Any:
        return list(super().configure_train(*args, **options))[:3]


class SendsAndStarts(Sends, OwnStart):
    """The same, with a start of its own."""


def play(
    kind: type[P2PL], rounds: int = 2, relay: MemoryRelay | None = None, **options: Any
) -> tuple[P2PL, Any, LocalGrid]:
    app, found = make_app()
    if relay is not None:
        app._relay = found = relay
    strategy = kind("complete", weights="uniform", relay=found, connect_timeout=0.1, **options)
    grid = LocalGrid(app, 4)
    return strategy, strategy.start(grid, START, rounds), grid


def test_a_device_whose_reply_is_left_out_sits_out_the_round(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, _, _ = play(Chooses, rounds=1)
    assert "device(s) [3] (or a strategy of the project's leaves its reply out" in caplog.text
    assert sorted(strategy.train_metrics) == [0, 1, 2]


def expected(devices: list[int], steps: int) -> dict[str, float]:
    """Return the models' mean after two rounds in which these train: halfway to their ids."""
    w = dict.fromkeys(devices, 0.0)
    for _ in range(2):
        w = {d: 0.5 * (w[d] + d) for d in devices}
        for _ in range(steps):
            # the weight 1/4 of the one that is left out stays with the device itself
            w = {d: w[d] + sum(0.25 * (w[j] - w[d]) for j in devices) for d in devices}
    return w


@pytest.mark.parametrize("relay", [MemoryRelay, Opaque])
@pytest.mark.parametrize("kind", [Chooses, Sends, SendsAndStarts])
@pytest.mark.parametrize("evaluate_every", [0, 1])
@pytest.mark.parametrize("steps", [1, 2])
def test_what_is_left_out_is_in_nobodys_model(
    kind: type[P2PL], relay: type[MemoryRelay], evaluate_every: int, steps: int
) -> None:
    options = {"consensus_steps": steps, "evaluate_every": evaluate_every}
    w = expected([0, 1, 2], steps)
    for result, right in (("mean", sum(w.values()) / 3), ("device:1", w[1])):
        strategy, found, _ = play(kind, relay=relay(), result=result, **options)
        assert values(found.arrays)["w"] == pytest.approx([right] * 2)
    if evaluate_every:
        loss = strategy.rounds[-1].after_consensus.loss
        assert (loss.min, loss.max) == pytest.approx((min(w.values()), max(w.values())))
    _, found, _ = play(kind, relay=relay(), result="device:3", **options)
    alone = 0.0 if kind is not Chooses else 2.25  # halfway to 3, twice, from 0
    assert values(found.arrays)["w"] == pytest.approx([alone] * 2)


@pytest.mark.parametrize("kind", [Sends, SendsAndStarts])
def test_devices_that_were_not_asked_are_not_missed(
    kind: type[P2PL], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, _, grid = play(kind)
    assert "no answer" not in caplog.text
    assert {d for k, d, _ in grid.log if k == "train.p2pl"} == {0, 1, 2}
    assert sorted(strategy.train_metrics) == sorted(strategy.evaluate_metrics) == [0, 1, 2]


class Alternates(P2PL):
    """It asks the even devices in even rounds, and the odd ones in odd rounds."""

    def configure_train(self, server_round: int, *args: Any, **options: Any) -> Any:
        messages = list(super().configure_train(server_round, *args, **options))
        return messages[server_round % 2 :: 2]


@pytest.mark.parametrize("evaluate_every", [0, 1])
@pytest.mark.parametrize("steps", [1, 2])
def test_those_that_take_turns_make_their_last_step_all_the_same(
    evaluate_every: int, steps: int
) -> None:
    options = {"consensus_steps": steps, "evaluate_every": evaluate_every}
    strategy, result, _ = play(Alternates, rounds=3, result="device:1", **options)
    # rounds 1 and 3: devices 1 and 3, whose weights for each other are 1/4
    w = {1: 0.0, 3: 0.0}
    for _ in range(2):
        w = {d: 0.5 * (w[d] + d) for d in w}
        for _ in range(steps):
            w = {1: w[1] + 0.25 * (w[3] - w[1]), 3: w[3] + 0.25 * (w[1] - w[3])}
    assert values(result.arrays)["w"] == pytest.approx([w[1]] * 2)
    assert [r.bytes_sent for r in strategy.rounds] == [2 * 24 * steps] * 3


class Scores(P2PL):
    """It asks only the first device for scores."""

    def configure_evaluate(self, *args: Any, **options: Any) -> Any:
        return list(super().configure_evaluate(*args, **options))[:1]


def test_a_device_that_is_not_asked_for_scores_mixes_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, result, _ = play(Scores)
    assert "no answer" not in caplog.text
    assert list(strategy.evaluate_metrics) == [0]
    assert values(result.arrays)["w"] == pytest.approx([1.5 * (0.5 + 0.25)] * 2)
    assert [r.bytes_sent for r in strategy.rounds] == [12 * 24] * 2


class SendsNothing(P2PL):
    def configure_train(self, *args: Any, **options: Any) -> Any:
        super().configure_train(*args, **options)


class SendsNone(P2PL):
    def configure_evaluate(self, *args: Any, **options: Any) -> Any:
        super().configure_evaluate(*args, **options)
        return []


def test_no_messages_are_an_error_and_no_message_is_none() -> None:
    with pytest.raises(ConfigError, match="its configure_train must return messages, of those th"):
        play(SendsNothing)
    strategy, _, _ = play(SendsNone)
    assert [r.after_consensus for r in strategy.rounds] == [None, None]
    assert [r.bytes_sent for r in strategy.rounds] == [12 * 24] * 2


def test_errors_that_are_left_out_are_told_to_be_unknown() -> None:
    def fail(message: Message, context: Context) -> None:
        raise ZeroDivisionError("no samples")

    app, relay = make_app(fail=fail)
    strategy = Chooses("complete", relay=relay, connect_timeout=0.1)
    with pytest.raises(DeviceError, match="leaves its reply out, whose error is then not known"):
        strategy.start(LocalGrid(app, 4), START, 1)


@pytest.mark.parametrize("evaluate_every", [0, 1])
@pytest.mark.parametrize("name", ["aggregate_train", "aggregate_evaluate"])
def test_a_function_in_a_methods_place_hears_replies_first(name: str, evaluate_every: int) -> None:
    def heard(server_round: int, replies: Any) -> Any:
        list(replies)
        return (None, None) if name == "aggregate_train" else None

    app, relay = make_app()
    options = {"evaluate_every": evaluate_every, "connect_timeout": 0.1}
    strategy = P2PL("complete", weights="uniform", relay=relay, **options)
    setattr(strategy, name, heard)
    strategy.start(LocalGrid(app, 4), START, 2)
    assert [r.bytes_sent for r in strategy.rounds] == [12 * 24] * 2
