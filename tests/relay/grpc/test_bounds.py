"""What whoever reaches the port may take up: connections, request bytes, calls."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import time

import grpc
import pytest
from endpoints import RUN, SLOT, connect, model

from p2pl_flower.errors import UnavailableError
from p2pl_flower.relay.grpc import EndpointMailbox, protocol
from p2pl_flower.relay.grpc.protocol import Refusal, RefusedError


def test_a_request_is_facts_and_no_more(network) -> None:
    endpoint = network(0)
    with grpc.insecure_channel(endpoint.address) as channel:
        hello = channel.unary_unary(protocol.HELLO)
        with pytest.raises(grpc.RpcError) as refused:
            hello(b'{"run":"' + b"1" * (1 << 16) + b'"}', timeout=10)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.RpcError) as answered:  # and it still answers
            hello(b"{}", timeout=10)
        assert answered.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("number", ["1" * 20, "-" + "9" * 30, "1e3", "true", "null", "1" * 5000])
def test_numbers_have_64_bits(number: str) -> None:
    with pytest.raises(RefusedError) as refused:
        protocol.whole(protocol.decode(b'{"wait-ms":' + number.encode() + b"}"), "wait-ms")
    assert refused.value.refusal is Refusal.MALFORMED
    assert len(refused.value.reason) < 200


def test_half_of_the_files_are_the_devices_own(network, monkeypatch) -> None:
    monkeypatch.setattr("p2pl_flower.system.open_files.limit", lambda: 64)
    endpoint = network(0)
    host, _, port = endpoint.address.rpartition(":")
    held = [socket.create_connection((host, int(port)), 10) for _ in range(80)]
    try:
        end = time.monotonic() + 20
        while sum(map(is_closed, held)) < 80 - 32:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert sum(map(is_closed, held)) == 80 - 32
    finally:
        for connection in held:
            connection.close()


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_trouble_of_this_machine_is_counted_and_passes(network, monkeypatch) -> None:
    one, two = network(0), network(1)
    connect(one, two)
    EndpointMailbox(two, RUN).publish(SLOT, model())
    mailbox, begin = EndpointMailbox(one, RUN), one.spool.begin
    for error in (OSError(24, "Too many open files"), UnavailableError("no room")):

        def fail(size, mark, error=error):
            raise error

        monkeypatch.setattr(one.spool, "begin", fail)
        assert mailbox.collect([1], SLOT) == {}
    monkeypatch.setattr(one.spool, "begin", begin)
    assert list(mailbox.collect([1], SLOT)) == [1]
    assert one.statistics.counts()[1] == {"arrived": 1, "local": 2}


def test_the_limit_of_open_files_is_raised() -> None:
    code = "from p2pl_flower.system import open_files; print(open_files.raise_limit())"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))

    command = [sys.executable, "-c", code]
    done = subprocess.run(command, preexec_fn=lower, capture_output=True, text=True, check=True)
    assert int(done.stdout) == hard or hard == resource.RLIM_INFINITY


def test_a_connection_whose_other_end_is_gone_is_closed(network, monkeypatch) -> None:
    for name in ("_SILENT_SECONDS", "_ANSWER_SECONDS"):
        monkeypatch.setattr(f"p2pl_flower.relay.grpc.server.{name}", 1)
    host, _, port = network(0).address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as held:
        held.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        held.settimeout(10)  # it is there, and answers no ping
        while held.recv(1 << 12):
            pass
