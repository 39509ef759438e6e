"""Strategies of people's own that hand on only some of the replies."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flwr.app import Context, Message
from local_grid import LocalGrid
from toy_app import START, make_app

from p2pl_flower import P2PL
from p2pl_flower.errors import DeviceError


class Chooses(P2PL):
    """It leaves replies out, as projects do whose clients say that they have not trained."""

    def aggregate_train(self, server_round: int, replies: Any) -> Any:
        kept = [r for r in replies if r.has_content() and r.content["metrics"]["num-examples"] < 40]
        return super().aggregate_train(server_round, kept)


def test_a_device_whose_reply_is_left_out_sits_out_the_round(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, relay = make_app()
    strategy = Chooses("complete", relay=relay, connect_timeout=0.1)
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy.start(LocalGrid(app, 4), START, 1)
    assert "device(s) [3] (or a strategy of the project's leaves its reply out" in caplog.text
    assert sorted(strategy.train_metrics) == [0, 1, 2]


def test_errors_that_are_left_out_are_told_to_be_unknown() -> None:
    def fail(message: Message, context: Context) -> None:
        raise ZeroDivisionError("no samples")

    app, relay = make_app(fail=fail)
    strategy = Chooses("complete", relay=relay, connect_timeout=0.1)
    with pytest.raises(DeviceError, match="leaves its reply out, whose error is then not known"):
        strategy.start(LocalGrid(app, 4), START, 1)
