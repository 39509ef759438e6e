"""Endpoints on loopback: who gets what from whom, and what becomes of what should not be."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from documents import pack
from endpoints import RUN, SLOT, connect, model

from p2pl_flower.errors import ConfigError
from p2pl_flower.relay import Slot
from p2pl_flower.relay.grpc import Credentials, Endpoint, EndpointMailbox, protocol
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.relay.grpc.protocol import Refusal, RefusedError
from p2pl_flower.relay.grpc.remote import Remote


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder, range(4))
    return folder


def test_a_large_model_passes_over_tls(network, certificates) -> None:
    a, b = (network(d, Credentials.load(certificates, d), deadline=60) for d in (0, 1))
    connect(a, b)
    sent = {"w": np.random.default_rng(0).normal(size=6_000_000), "n": np.array(3.5)}
    EndpointMailbox(a, RUN).publish(SLOT, sent)
    arrived = EndpointMailbox(b, RUN).collect([0], SLOT)[0]
    assert np.array_equal(arrived["w"], sent["w"])
    assert arrived["n"] == 3.5
    assert b.statistics.counts() == {0: {"arrived": 1}}


def refused(endpoint: Endpoint, sender: int) -> dict[str, int]:
    assert EndpointMailbox(endpoint, RUN).collect([sender], SLOT) == {}
    return endpoint.statistics.counts()[sender]


def test_a_certificate_of_another_ca_opens_nothing(network, certificates, tmp_path, caplog) -> None:
    make_certificates(tmp_path, [1])
    a = network(0, Credentials.load(certificates, 0))
    foreign = network(1, Credentials.load(tmp_path, 1))
    connect(a, foreign)
    for endpoint in (a, foreign):
        EndpointMailbox(endpoint, RUN).publish(SLOT, model())
    assert refused(a, 1) == {"identity": 1}
    assert refused(foreign, 0) == {"identity": 1}
    assert "refused neighbor 1 (identity): the certificate at 127.0.0.1" in caplog.text


def test_an_expired_certificate_is_refused_with_the_reason(network, certificates, caplog) -> None:
    a = network(0, Credentials.load(certificates, 0))
    make_certificates(certificates, [7], days=-1 / 1440)
    pem = [
        (certificates / name).read_bytes() for name in ("ca.pem", "device-7.pem", "device-7.key")
    ]
    expired = network(7, Credentials(*pem))
    connect(a, expired)
    for endpoint in (a, expired):
        EndpointMailbox(endpoint, RUN).publish(SLOT, model())
    assert refused(a, 7) == {"identity": 1}
    assert "certificate has expired" in caplog.text
    assert refused(expired, 0) == {"identity": 1}
    assert "certificate of device 7" in caplog.text


def test_a_device_cannot_pose_as_another(network, certificates, caplog) -> None:
    """Device 2's certificate neither answers at device 1's address nor reads as device 1."""
    a = network(0, Credentials.load(certificates, 0))
    poser = network(2, Credentials.load(certificates, 2))
    poser.device = 1
    a.meet(RUN, {1: poser.address})
    poser.meet(RUN, {0: a.address})
    for endpoint in (a, poser):
        EndpointMailbox(endpoint, RUN).publish(SLOT, model())
    assert refused(a, 1) == {"identity": 1}
    assert "Hostname mismatch" in caplog.text
    assert refused(poser, 0) == {"stranger": 1}
    assert a.statistics.counts()[2] == {"stranger": 1}


def test_without_a_certificate_nothing_is_answered(network, certificates) -> None:
    a = network(0, Credentials.load(certificates, 0))
    a.meet(RUN, {1: "127.0.0.1:1"})
    EndpointMailbox(a, RUN).publish(SLOT, model())
    plain = network(1)
    plain.meet(RUN, {0: a.address})
    started = time.monotonic()
    assert EndpointMailbox(plain, RUN).collect([0], SLOT, deadline=1) == {}
    assert time.monotonic() - started < 10
    ca = (certificates / "ca.pem").read_bytes()
    anonymous = grpc.secure_channel(
        a.address,
        grpc.ssl_channel_credentials(ca),
        [("grpc.ssl_target_name_override", "device-0.p2pl")],
    )
    with anonymous, pytest.raises(grpc.RpcError) as caught:
        anonymous.unary_unary(protocol.HELLO)(b"{}", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_port_in_use_is_a_clear_error(network) -> None:
    a = network(0)
    with pytest.raises(ConfigError, match=f"listen='{a.address}'.*the port is in use"):
        Endpoint(1, a.address, None)


class Liar(grpc.GenericRpcHandler):
    """A neighbor that answers every fetch with the given messages."""

    def __init__(self, messages: list[bytes]) -> None:
        self.messages = messages

    def service(self, details: Any) -> Any:
        def fetch(request: bytes, context: Any) -> Iterator[bytes]:
            yield from self.messages

        return grpc.unary_stream_rpc_method_handler(fetch)


def announced(document: np.ndarray, size: int | None = None) -> list[bytes]:
    head = {
        "size": document.size if size is None else size,
        "round": 1,
        "agreed": protocol.NOTHING_AGREED,
    }
    return [json.dumps(head).encode(), document.tobytes()]


GOOD = pack(model())
BAD = {
    "truncated": announced(GOOD[:-4], GOOD.size),
    "oversized": announced(GOOD, GOOD.size - 4),
    "oversized-announced": announced(GOOD, 10**12),
    "oversized-message": [bytes(9 << 20)],  # gRPC itself ends the call
    "empty": [],
    "malformed": [b"\xff\xfe"],
    "malformed-size": [b'{"size": "10", "round": 1}'],
    "malformed-document": announced(np.zeros(40, np.uint8)),
    "layout": announced(pack({"w": np.zeros(4, np.float32), "b": np.array(1.0)})),
    "layout-names": announced(pack({"v": np.zeros(3, np.float32), "b": np.array(1.0)})),
    "layout-dtype": announced(pack({"w": np.zeros(3), "b": np.array(1.0)})),
    "not-finite": announced(pack(model(np.nan))),
    "not-finite-infinity": announced(pack(model(-np.inf))),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_answer_is_refused_and_the_others_go_on(network, case, caplog) -> None:
    a, good = network(0), network(1)
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Liar(BAD[case])])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        a.meet(RUN, {1: good.address, 3: f"127.0.0.1:{port}"})
        good.meet(RUN, {0: a.address})
        EndpointMailbox(a, RUN).publish(SLOT, model(7))
        EndpointMailbox(good, RUN).publish(SLOT, model(2))
        arrived = EndpointMailbox(a, RUN).collect([1, 3], SLOT)
    finally:
        server.stop(0).wait()
    assert list(arrived) == [1]
    reason = {"empty": "truncated"}.get(case, case)
    [counted] = a.statistics.counts()[3]
    assert reason.startswith(counted)
    assert f"refused neighbor 3 ({counted})" in caplog.text
    assert EndpointMailbox(a, RUN).recall("model")[0][1]["w"].tolist() == [7] * 3


def test_a_slot_beyond_the_run_is_refused_and_counted(network, caplog) -> None:
    a, b = network(0), network(1)
    connect(a, b)
    with pytest.raises(RefusedError, match="beyond round 9") as caught:
        b.remotes[0].fetch(RUN, Slot("model", 10**9, 0), 5, 10**6)
    assert caught.value.refusal is Refusal.BEYOND
    assert a.statistics.counts() == {1: {"beyond": 1}}
    assert "refused neighbor 1 (beyond)" in caplog.text


def test_a_slot_that_is_past_says_so_at_once(network) -> None:
    a, b = network(0), network(1)
    connect(a, b)
    for number in (1, 12, 13, 14):
        EndpointMailbox(a, RUN).publish(Slot("model", number, 0), model())
    started = time.monotonic()
    assert refused(b, 0) == {"gone": 1}
    assert time.monotonic() - started < 2
    assert b.remotes[0].round == 14


def test_a_neighbor_that_is_a_step_behind_still_finds_its_model(network) -> None:
    """The first to finish a round shows its result and trains on: two publications more."""
    a, b = network(0), network(1)
    connect(a, b)
    box = EndpointMailbox(a, RUN)
    for value, slot in enumerate((SLOT, Slot("model", 1, 1), Slot("model", 2, 0))):
        box.publish(slot, model(value))
    assert EndpointMailbox(b, RUN).collect([0], SLOT)[0]["b"] == 0


@pytest.mark.parametrize(
    "request_fields",
    [
        b"not json",
        b"[]",
        b'{"run": 1}',
        b'{"run": "1"}',
        b'{"run": "1", "from": 1, "channel": "model", "round": true, "step": 0, "wait-ms": 0}',
        b'{"run": "1", "from": 1, "channel": "model", "round": 1, "step": 0, "wait-ms": "x"}',
        b'{"run": "1", "from": 1, "channel": ["m"], "round": 1, "step": 0, "wait-ms": 0}',
        b'{"run": "other", "from": 1, "channel": "model", "round": 1, "step": 0, "wait-ms": 0}',
    ],
)
def test_a_malformed_request_is_refused_and_the_server_lives(network, request_fields) -> None:
    a, b = network(0), network(1)
    connect(a, b)
    with grpc.insecure_channel(a.address) as channel:
        call = channel.unary_stream(protocol.FETCH)(request_fields, timeout=5)
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
    assert caught.value.code() in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
    )
    EndpointMailbox(a, RUN).publish(SLOT, model())
    assert list(EndpointMailbox(b, RUN).collect([0], SLOT)) == [0]


def test_neighbors_with_other_settings_are_told_what_differs(network) -> None:
    a, b = network(0), network(1)
    connect(a, b)
    a.introduce(RUN, {"settings": {"rounds": 3, "weights": "uniform"}})
    b.introduce(RUN, {"settings": {"rounds": 3, "weights": "metropolis"}})
    with pytest.raises(RefusedError, match="weights='metropolis', but device 0 has 'uniform'"):
        b.hello(RUN, 0, 5)
    b.introduce(RUN, {"settings": {"rounds": 3, "weights": "uniform"}, "finished": True})
    assert b.hello(RUN, 0, 5)["settings"]["rounds"] == 3
    assert a.finished == {1}


def test_a_neighbor_of_another_protocol_version_is_refused(network) -> None:
    a, b = network(0), network(1)
    connect(a, b)
    remote = Remote(0, a.address, 1, None)
    with pytest.raises(RefusedError, match="speaks version 99"):
        remote.hello(RUN, {"protocol": 99}, 5)
    remote.close()


@pytest.mark.parametrize("first", [{"rounds": 3}, None])
def test_settings_are_compared_wherever_a_model_passes(network, first) -> None:
    """Also where no greeting went before, or one of other settings did."""
    a, b = network(0), network(1)
    connect(a, b)
    if first is not None:
        for endpoint in (a, b):
            endpoint.introduce(RUN, {"settings": first})
        b.hello(RUN, 0, 5)
    EndpointMailbox(a, RUN).publish(SLOT, model())
    a.introduce(RUN, {"settings": {"rounds": 3, "weights": "uniform"}})
    b.introduce(RUN, {"settings": {"rounds": 3, "weights": "metropolis"}})
    assert EndpointMailbox(b, RUN).collect([0], SLOT) == {}
    assert a.statistics.counts()[1] == b.statistics.counts()[0] == {"mismatch": 1}
    b.introduce(RUN, {"settings": {"weights": "uniform", "rounds": 3}})
    assert list(EndpointMailbox(b, RUN).collect([0], SLOT)) == [0]
