"""The messages of a call come to an end, also where gRPC's own iterator does not."""

from __future__ import annotations

import threading
import time

import pytest

from p2pl_flower.relay.grpc.messages import messages
from p2pl_flower.relay.grpc.protocol import Refusal, RefusedError


class Call:
    """A call that brings some messages, and then ends or is lost."""

    def __init__(self, *brings: bytes, lost: bool = False, error: Exception | None = None) -> None:
        self._brings, self._lost, self._error = iter(brings), lost, error
        self.asked = 0
        self.never = threading.Event()

    def add_callback(self, callback) -> bool:
        return False  # it has ended

    def __next__(self) -> bytes:
        self.asked += 1
        for message in self._brings:
            return message
        if self._lost:
            self.never.wait(30)
        raise self._error or StopIteration


def test_messages_come_in_order_and_end() -> None:
    assert list(messages(Call(b"a", b"b", b"c"))) == [b"a", b"b", b"c"]
    with pytest.raises(OSError, match="broken"):
        list(messages(Call(b"a", error=OSError("broken"))))


def test_a_call_that_has_ended_and_does_not_say_so_is_given_up() -> None:
    lost, begun = Call(b"a", lost=True), time.monotonic()
    coming = messages(lost)
    assert next(coming) == b"a"
    with pytest.raises(RefusedError, match="does not say how") as refused:
        next(coming)
    assert refused.value.refusal is Refusal.ABSENT
    assert time.monotonic() - begun < 3
    lost.never.set()


def test_no_more_is_read_ahead_than_there_is_room_for() -> None:
    call = Call(*[b"x"] * 100)
    coming = messages(call)
    next(coming)
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        assert call.asked <= 4
    coming.close()
