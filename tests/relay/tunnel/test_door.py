"""The port of a device that others dial."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.relay.tunnel import serve_rendezvous
from p2pl_flower.relay.tunnel.control import CONTROL, DATA, BrokenStreamError, ControlStream
from p2pl_flower.relay.tunnel.door import Door


@pytest.fixture
def door():
    made = serve_rendezvous("127.0.0.1:0", None, 8)
    yield made
    made.close()


def dial(door: Door) -> socket.socket:
    return socket.create_connection(("127.0.0.1", door.port), 10)


def enter(door: Door, device: object) -> ControlStream:
    connection = dial(door)
    connection.sendall(CONTROL)
    stream = ControlStream(connection)
    stream.say({"from": device})
    return stream


def answer(stream: ControlStream) -> dict:
    said = stream.hear(10)
    assert said is not None
    return said


def test_a_call_reaches_the_device_and_both_are_joined(door) -> None:
    one, other = enter(door, 1), enter(door, 2)
    assert answer(one) == {"welcome": 1}
    assert answer(other) == {"welcome": 2}
    one.say({"connect": 2, "call": 7})
    said = answer(one)
    assert said["call"] == 7
    assert answer(other) == {"open": said["token"]}
    ends = [dial(door), dial(door)]
    for end in ends:
        end.sendall(DATA + said["token"].encode() + b"\nhello")
    assert [end.recv(5) for end in ends] == [b"hello", b"hello"]
    ends[0].sendall(b" and more")
    assert ends[1].recv(9) == b" and more"
    ends[0].close()
    assert ends[1].recv(1) == b""


def test_who_has_been_welcomed_can_be_called(door, monkeypatch) -> None:
    enters, may = door.registry.enter, threading.Event()

    def late(*args: object) -> None:
        assert may.wait(10)
        enters(*args)

    monkeypatch.setattr(door.registry, "enter", late)
    one = enter(door, 1)
    assert one.hear(0.2) is None
    may.set()
    assert answer(one) == {"welcome": 1}
    assert door.registry.devices() == [1]


def test_a_token_opens_once(door) -> None:
    one, other = enter(door, 1), enter(door, 2)
    answer(one)
    answer(other)
    one.say({"connect": 2, "call": 1})
    token = answer(one)["token"].encode()
    ends = [dial(door) for _ in range(3)]
    for end in ends:
        end.sendall(DATA + token + b"\n")
        time.sleep(0)
    refused = 0
    for end in ends:
        end.settimeout(1)
        with contextlib.suppress(TimeoutError):
            refused += end.recv(1) == b""
    assert refused == 1


@pytest.mark.parametrize("whom", [3, -1, True, None, "2", [2], 10**40])
def test_who_is_not_there_cannot_be_called(door, whom) -> None:
    one = enter(door, 1)
    answer(one)
    one.say({"connect": whom, "call": 1})
    assert "refused" in answer(one)


@pytest.mark.parametrize("device", [None, "1", -1, 1.0, True, [1], {"a": 1}])
def test_a_device_says_which_it_is(door, device) -> None:
    assert "refused" in answer(enter(door, device))


def test_the_newer_stream_of_a_device_replaces_the_older(door) -> None:
    old = enter(door, 1)
    answer(old)
    new = enter(door, 1)
    answer(new)
    with pytest.raises(BrokenStreamError, match="has ended"):
        old.hear(10)
    new.say({"ping": 1})
    assert answer(new) == {"pong": 1}
    assert door.registry.devices() == [1]


def test_connections_are_bounded(door) -> None:
    idle = [dial(door) for _ in range(8)]
    end = time.monotonic() + 30
    while time.monotonic() < end:  # until the door has taken all of them in
        extra = dial(door)
        extra.settimeout(1)
        try:
            if extra.recv(1) == b"":
                break
        except TimeoutError:
            idle.append(extra)
    else:
        pytest.fail("more than 8 connections were kept")
    for connection in idle:
        connection.close()
    while True:
        try:
            assert answer(enter(door, 1)) == {"welcome": 1}
        except OSError:
            assert time.monotonic() < end
            continue
        break


def test_a_port_in_use_is_named(door) -> None:
    with pytest.raises(ConfigError, match=r"listen='127.0.0.1:.*in use"):
        serve_rendezvous(f"127.0.0.1:{door.port}", None, 8)


@pytest.mark.parametrize("line", [b"[]\n", b"nonsense\n", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_lines_that_are_no_objects_end_the_stream(line) -> None:
    one, other = socket.socketpair()
    one.sendall(line)
    with pytest.raises(BrokenStreamError):
        ControlStream(other).hear(5)
    one.close()
    other.close()
