"""Devices that can only dial out give and take models as others do."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from p2pl_flower.relay import Slot
from p2pl_flower.relay.grpc import Credentials, Endpoint, EndpointMailbox, Waiting
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.relay.grpc.protocol import Refusal
from p2pl_flower.relay.tunnel import DIAL_OUT, Tunnels, pump, serve_rendezvous
from p2pl_flower.relay.tunnel.control import CONTROL, DATA

RUN, SLOT = "1", Slot("model", 1, 0)
HERE = "127.0.0.1:0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("certificates")
    make_certificates(made, range(4))
    return made


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def device(folder: Path, closing: ExitStack) -> Callable[..., Endpoint]:
    def make(
        number: int, listen: str, rendezvous: str = "", passes_on: bool = False, secure: bool = True
    ) -> Endpoint:
        credentials = Credentials.load(folder, number) if secure else None
        tunnels = Tunnels(number, listen, credentials, rendezvous, passes_on)
        waiting = Waiting(deadline=20.0)
        made = Endpoint(number, listen, credentials, waiting, tunnels=tunnels)
        closing.callback(made.close)
        made.open(RUN)
        return made

    return make


def linked(one: Endpoint, other: Endpoint) -> None:
    one.meet(RUN, {other.device: other.address})
    other.meet(RUN, {one.device: one.address})
    one.start()
    other.start()


def published(endpoint: Endpoint, value: float, size: int = 1000) -> None:
    model = {"w": np.full(size, value, np.float32)}
    EndpointMailbox(endpoint, RUN).publish(SLOT, model)


def fetched(endpoint: Endpoint, sender: int, seconds: float | None = None) -> float | None:
    got = EndpointMailbox(endpoint, RUN).collect([sender], SLOT, seconds).get(sender)
    return None if got is None else float(got["w"][-1])


@pytest.mark.parametrize("secure", [True, False], ids=["tls", "insecure"])
def test_one_end_that_can_be_dialed_is_enough(device, secure) -> None:
    dialed, dialing = device(0, HERE, secure=secure), device(1, DIAL_OUT, secure=secure)
    linked(dialed, dialing)
    published(dialed, 1.5)
    published(dialing, 2.5)
    assert fetched(dialed, 1) == 2.5
    assert fetched(dialing, 0) == 1.5
    assert dialing.address == DIAL_OUT


@pytest.mark.parametrize("secure", [True, False], ids=["tls", "insecure"])
def test_two_that_only_dial_meet_at_a_rendezvous(device, folder, closing, secure) -> None:
    door = serve_rendezvous(HERE, Credentials.load(folder, 3) if secure else None, 64)
    closing.callback(door.close)
    place = f"127.0.0.1:{door.port}"
    one, other = (device(k, DIAL_OUT, place, secure=secure) for k in range(2))
    linked(one, other)
    published(one, 1.5)
    published(other, 2.5)
    assert fetched(one, 1) == 2.5
    assert fetched(other, 0) == 1.5


def test_a_peer_can_be_the_rendezvous(device) -> None:
    host = device(2, HERE, passes_on=True)
    host.start()
    one, other = (device(k, DIAL_OUT, host.address) for k in range(2))
    linked(one, other)
    published(other, 2.5)
    assert fetched(one, 1) == 2.5


def test_a_rendezvous_sees_no_byte_of_a_model(device, folder, closing, monkeypatch) -> None:
    passed = bytearray()
    real = pump._carry

    def listening(source: socket.socket, target: socket.socket) -> None:
        while source.family != socket.AF_UNIX and target.family != socket.AF_UNIX:
            seen = source.recv(1 << 16)
            if not seen:
                break
            passed.extend(seen)
            target.sendall(seen)
        real(source, target)

    monkeypatch.setattr(pump, "_carry", listening)
    door = serve_rendezvous(HERE, Credentials.load(folder, 3), 64)
    closing.callback(door.close)
    one, other = (device(k, DIAL_OUT, f"127.0.0.1:{door.port}") for k in range(2))
    linked(one, other)
    published(other, 2.5, size=100_000)
    assert fetched(one, 1) == 2.5
    assert len(passed) > 400_000
    assert np.full(16, 2.5, np.float32).tobytes() not in passed
    assert b"model" not in passed


def test_a_host_that_comes_back_is_dialed_again(device, folder) -> None:
    dialed, dialing = device(0, HERE), device(1, DIAL_OUT)
    linked(dialed, dialing)
    published(dialing, 2.5)
    assert fetched(dialed, 1) == 2.5
    dialed.close()
    again = device(0, dialed.address)
    again.meet(RUN, {1: DIAL_OUT})
    again.start()
    assert fetched(again, 1, 60.0) == 2.5


def test_who_has_not_dialed_is_absent(device) -> None:
    dialed = device(0, HERE)
    dialed.meet(RUN, {1: DIAL_OUT})
    dialed.start()
    assert fetched(dialed, 1, 0.5) is None
    counts = dialed.statistics.counts()[1]
    assert set(counts) & {Refusal.ABSENT.value, Refusal.LATE.value}


def test_certificates_of_another_authority_open_nothing(device, tmp_path, closing) -> None:
    dialed = device(0, HERE)
    dialed.meet(RUN, {1: DIAL_OUT})
    dialed.start()
    make_certificates(tmp_path, [1])
    foreign = Credentials.load(tmp_path, 1)
    tunnels = Tunnels(1, DIAL_OUT, foreign)
    stranger = Endpoint(1, DIAL_OUT, foreign, Waiting(deadline=1.0), tunnels=tunnels)
    closing.callback(stranger.close)
    stranger.open(RUN)
    stranger.meet(RUN, {0: dialed.address})
    stranger.start()
    published(stranger, 9.0)
    assert fetched(dialed, 1, 2.0) is None


def test_a_device_on_no_list_is_not_called(device, caplog) -> None:
    dialed, stranger = device(0, HERE), device(2, DIAL_OUT)
    dialed.meet(RUN, {1: DIAL_OUT})
    dialed.start()
    stranger.meet(RUN, {0: dialed.address})
    stranger.start()
    end = time.monotonic() + 30
    while "refused at" not in caplog.text and time.monotonic() < end:
        time.sleep(0.01)
    assert "this device is on no list here" in caplog.text


JUNK = [
    b"",
    b"P",
    b"PRI",
    CONTROL,
    CONTROL + b"\x16\x03\x01\xff\xff",
    CONTROL + b"{}\n" * 100,
    DATA + b"0" * 32 + b"\n",
    DATA + b"\xff" * 32 + b"\n",
    DATA + b"0" * 10_000,
    b"\x16\x03\x01" + b"\xff" * 5000,
    b"P2PL" + b"A" * 1000,
]


@pytest.mark.parametrize("secure", [True, False], ids=["tls", "insecure"])
def test_what_strangers_send_ends_nothing(device, secure) -> None:
    dialed, dialing = device(0, HERE, secure=secure), device(1, DIAL_OUT, secure=secure)
    linked(dialed, dialing)
    published(dialing, 2.5)
    host, _, port = dialed.address.rpartition(":")
    for junk in JUNK * 3:
        with socket.create_connection((host, int(port)), 5) as stranger:
            stranger.sendall(junk)
    assert fetched(dialed, 1) == 2.5
