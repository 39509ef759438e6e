"""Certificates that are taken back: from the next call on, and for those under way."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from p2pl_flower.relay import Slot
from p2pl_flower.relay.group import Revocations, Standing
from p2pl_flower.relay.group.signing import read_authority
from p2pl_flower.relay.grpc import Credentials, Endpoint, EndpointMailbox, Waiting
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.relay.grpc.protocol import Refusal, RefusedError

RUN, SLOT = "1", Slot("model", 1, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_certificates(tmp_path, range(3))
    return tmp_path


@pytest.fixture
def devices(folder: Path):
    made = []
    for k in range(3):
        credentials = Credentials.load(folder, k)
        own = folder / f"own-{k}"
        own.mkdir()
        standing = Standing(credentials.ca, own)
        waiting = Waiting(deadline=20)
        made.append(Endpoint(k, "127.0.0.1:0", credentials, waiting, standing=standing))
    for endpoint in made:
        endpoint.open(RUN)
        endpoint.start()
        endpoint.introduce(RUN, {})
    for endpoint in made:
        endpoint.meet(RUN, {other.device: other.address for other in made if other is not endpoint})
    yield made
    for endpoint in made:
        endpoint.close()


def revoked(folder: Path, *ids: int, by: Endpoint) -> None:
    _, key = read_authority(folder)
    by.standing.hear(Revocations().adding(key, ids).to_json())


def publish(endpoint: Endpoint) -> None:
    EndpointMailbox(endpoint, RUN).publish(SLOT, {"w": np.ones(3)})


def fetch(endpoint: Endpoint, sender: int) -> bool:
    return sender in EndpointMailbox(endpoint, RUN).collect([sender], SLOT)


def test_neither_takes_nor_gives_any_more(devices, folder) -> None:
    for endpoint in devices:
        publish(endpoint)
    assert fetch(devices[0], 2)
    revoked(folder, 2, by=devices[0])
    assert not fetch(devices[0], 2)
    assert not fetch(devices[2], 0)
    assert devices[2].statistics.counts()[0] == {"given": 1, Refusal.IDENTITY.value: 1}
    assert fetch(devices[0], 1)
    with pytest.raises(RefusedError, match="has been taken back"):
        devices[0].hello(RUN, 2, 5)


def test_the_list_goes_with_greetings(devices, folder) -> None:
    revoked(folder, 2, by=devices[0])
    publish(devices[0])
    assert fetch(devices[1], 0)
    assert devices[1].remotes[0].revocations == 1  # a model says that there is a list
    devices[1].hello(RUN, 0, 5)
    assert devices[1].revoked == {2}
    assert (folder / "own-1" / Revocations.FILE).exists()
    authority = read_authority(folder)[0]
    assert Revocations.load(folder / "own-1", authority).devices == {2}


def test_a_call_under_way_ends(devices, folder) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(fetch, devices[2], 0)  # for what is not there yet
        end = time.monotonic() + 30
        while not devices[0]._server._calls._open.get(2) and time.monotonic() < end:
            time.sleep(0.01)
        started = time.monotonic()
        revoked(folder, 2, by=devices[0])
        assert waiting.result(timeout=15) is False
        assert time.monotonic() - started < 15  # and not the 20 seconds of its deadline


def test_the_folder_is_looked_at_again(devices, folder) -> None:
    _, key = read_authority(folder)
    Revocations().adding(key, [1]).save(folder / "own-0")
    assert devices[0].revoked == frozenset()
    devices[0].standing.look()
    assert devices[0].revoked == {1}


def test_a_list_that_is_damaged_changes_nothing(devices, folder, caplog) -> None:
    revoked(folder, 2, by=devices[0])
    (folder / "own-0" / Revocations.FILE).write_text("{")
    devices[0].standing.look()
    assert devices[0].revoked == {2}
    assert "has signed" in caplog.text
