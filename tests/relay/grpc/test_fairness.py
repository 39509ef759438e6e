"""One neighbor that asks for more than its share does not keep the others from theirs."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import grpc
import numpy as np
import pytest

from p2pl_flower.relay import Slot
from p2pl_flower.relay.grpc import Credentials, Endpoint, EndpointMailbox, Waiting, protocol
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.relay.grpc.credentials import host_name
from p2pl_flower.relay.grpc.protocol import Refusal, RefusedError
from p2pl_flower.relay.grpc.streams import MOST_STREAMS, Streams

RUN = "1"
THERE, NOT_YET = Slot("model", 1, 0), Slot("model", 2, 0)
THREADS = MOST_STREAMS + 2


@pytest.fixture
def endpoints(tmp_path: Path):
    """A device with few threads and its two neighbors, with certificates."""
    make_certificates(tmp_path, range(3))
    made = [
        Endpoint(
            device,
            "127.0.0.1:0",
            Credentials.load(tmp_path, device),
            Waiting(deadline=10),
            most_calls=THREADS,
        )
        for device in range(3)
    ]
    for endpoint in made:
        endpoint.open(RUN, last_round=9)
        endpoint.start()
    for endpoint in made:
        others = {other.device: other.address for other in made if other is not endpoint}
        endpoint.meet(RUN, others)
    yield made
    for endpoint in made:
        endpoint.close()


@contextlib.contextmanager
def greedy(folder: Path, address: str, slot: Slot, streams: int):
    """Be neighbor 1 with so many open streams, of which it reads nothing but the first message."""
    options = [*protocol.MESSAGE_OPTIONS, ("grpc.ssl_target_name_override", host_name(0))]
    credentials = Credentials.load(folder, 1).for_channel()
    place = {"channel": slot.channel, "round": slot.round, "step": slot.step}
    request = protocol.encode({**place, "wait-ms": 60_000, "run": RUN, "from": 1, **AGREED})
    with grpc.secure_channel(address, credentials, options) as channel:
        fetch = channel.unary_stream(protocol.FETCH)
        calls = [fetch(request, timeout=60) for _ in range(streams)]
        yield calls
        for call in calls:
            call.cancel()


def refused(calls: list[grpc.Call]) -> list[grpc.Call]:
    return [call for call in calls if call.done()]


AGREED = {"agreed": protocol.NOTHING_AGREED}


def wait_until(reached) -> None:
    end = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("slot", [NOT_YET, THERE], ids=["waiting", "not-reading"])
def test_a_greedy_neighbor_leaves_threads_for_the_others(endpoints, tmp_path, caplog, slot) -> None:
    busy, _, patient = endpoints
    model = {"w": np.zeros(20_000_000, np.float32)}  # more than flow control lets pass unread
    EndpointMailbox(busy, RUN).publish(THERE, model)
    with greedy(tmp_path, busy.address, slot, 3 * THREADS) as calls:
        wait_until(lambda: len(refused(calls)) >= 3 * THREADS - MOST_STREAMS)
        assert len(refused(calls)) == 3 * THREADS - MOST_STREAMS
        for call in refused(calls):
            assert call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "asks for more than 4 models at the same time" in call.details()
        started = time.monotonic()
        assert list(EndpointMailbox(patient, RUN).collect([0], THERE)) == [0]
        assert time.monotonic() - started < 10
    wait_until(lambda: busy.statistics.counts().get(2) == {"given": 1})
    assert busy.statistics.counts()[1] == {"busy": 3 * THREADS - MOST_STREAMS}
    assert "device 0: refused neighbor 1 (busy): device 1 asks for more than 4" in caplog.text


def test_streams_that_have_ended_no_longer_count(endpoints, tmp_path) -> None:
    busy, modest, _ = endpoints
    EndpointMailbox(busy, RUN).publish(THERE, {"w": np.zeros(3)})
    with greedy(tmp_path, busy.address, NOT_YET, MOST_STREAMS):
        # before that, a stream of ours could take the place of one that is to stay
        wait_until(lambda: busy._server._streams._open[1] == MOST_STREAMS)
        wait_until(lambda: _is_refused(modest))
    wait_until(lambda: not _is_refused(modest))


def _is_refused(endpoint: Endpoint) -> bool:
    before = endpoint.statistics.counts().get(0, {}).get("busy", 0)
    EndpointMailbox(endpoint, RUN).collect([0], THERE)
    return endpoint.statistics.counts()[0].get("busy", 0) > before


def test_each_neighbor_is_counted_by_itself() -> None:
    streams = Streams(most=1)
    with streams.one_of(1), streams.one_of(2), pytest.raises(RefusedError) as caught:
        streams.one_of(1).__enter__()
    assert caught.value.refusal is Refusal.BUSY
    with streams.one_of(1):
        pass
