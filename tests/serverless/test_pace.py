"""What is believed of a neighbor that says that it is far ahead."""

from __future__ import annotations

import pytest

from p2pl_flower.serverless import pace
from p2pl_flower.serverless.pace import Pace


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(pace.time, "time", lambda: now[0])
    return now


def test_before_the_first_round_nobody_is_ahead() -> None:
    assert Pace().latest(1) == 1


def test_between_two_rounds_none_is_missed(clock) -> None:
    own = Pace()
    for number in range(1, 5):
        clock[0] += 2.0
        own.ended(2.0)
        assert own.latest(number + 1) == number + 1


def test_who_slept_in_a_round_or_was_not_running_may_have_missed_as_many(clock) -> None:
    own = Pace()
    for _ in range(3):
        own.ended(2.0)
    own.ended(12.0)  # it slept for 10 s, in which others may have made as many rounds
    assert own.latest(5) == 5 + 10
    again = Pace()
    again.restore(clock[0], [2.0, 2.0, None])
    clock[0] += 6.0
    assert again.latest(3) == 3 + 6


def test_a_checkpoint_that_knows_no_time_lets_none_be_missed() -> None:
    own = Pace()
    own.restore(None, [1.0])
    assert own.latest(2) == 2
