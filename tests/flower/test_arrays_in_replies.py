"""Strategies of people's own that look for models in replies are told what to use instead."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from local_grid import LocalGrid
from toy_app import START, make_app

from p2pl_flower import P2PL
from p2pl_flower.errors import ConfigError

INSTEAD = r"`arrays, metrics = super\(\)\.aggregate_train\(server_round, replies\)` gives the mean"


def play(read: Callable[[Any], object]) -> Any:
    """Run a strategy that reads each reply's records before it hands them on."""

    class Reads(P2PL):
        def aggregate_train(self, server_round: int, replies: Any) -> Any:
            listed = list(replies)
            for reply in listed:
                read(reply.content)
            return super().aggregate_train(server_round, replies)

    app, relay = make_app()
    strategy = Reads("ring", relay=relay, connect_timeout=0.1)
    return strategy, strategy.start(LocalGrid(app, 3), START, 2)


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (lambda content: content["arrays"], "KeyError: 'arrays'"),
        (lambda content: content.array_records["arrays"], "KeyError: 'arrays'"),
        (lambda content: next(iter(content.array_records.values())), "StopIteration"),
        (lambda content: list(content.array_records.values())[0], "IndexError"),  # noqa: RUF015
        (lambda content: content.get("arrays").to_numpy_ndarrays(), "AttributeError"),
        (lambda content: content["model"]["layer"], "KeyError: 'model'"),
    ],
)
def test_the_error_says_what_there_is_instead(read: Any, error: str) -> None:
    with pytest.raises(ConfigError, match=rf"strategy='Reads'.*{INSTEAD}.*\({error}"):
        play(read)


def test_looking_without_an_error_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, _ = play(lambda content: [dict(r) for r in content.array_records.values()])
    assert caplog.text.count("looks for arrays in the devices' replies") == 1
    assert sorted(strategy.train_metrics) == [0, 1, 2]


@pytest.mark.parametrize("read", [lambda content: content["metrics"], lambda c: list(c.values())])
def test_what_is_there_is_read_in_silence(read: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        play(read)
    assert "looks for arrays" not in caplog.text


def test_errors_of_other_kinds_stay_what_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        play(lambda content: 1 / 0)
