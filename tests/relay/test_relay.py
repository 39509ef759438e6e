"""The contract that every relay keeps, and what is particular to one of them."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from p2pl_flower.errors import RelayError
from p2pl_flower.relay import FileRelay, MemoryRelay, OpenRelay, RayRelay, Slot
from p2pl_flower.relay.base import KEPT
from p2pl_flower.relay.grpc import Endpoint, EndpointRelay, Waiting
from p2pl_flower.relay.grpc.own_publications import KEPT_FOR_THE_SLOW

RUN = 5
FIRST, SECOND = Slot("model", 1, 0), Slot("model", 1, 1)


def model(value: float) -> dict[str, np.ndarray]:
    return {"w": np.full(3, value, np.float32), "b": np.array(value)}


@pytest.fixture(scope="module")
def ray_session():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def endpoints():
    """Three devices that reach each other through gRPC on loopback only."""
    made = [Endpoint(d, "127.0.0.1:0", None, Waiting(deadline=1.5)) for d in range(3)]
    for endpoint in made:
        endpoint.start()
    yield made
    for endpoint in made:
        endpoint.close()


@pytest.fixture(params=[MemoryRelay, FileRelay, RayRelay, EndpointRelay])
def relay(request):
    if request.param is RayRelay:
        request.getfixturevalue("ray_session")
    needs = request.getfixturevalue("endpoints") if request.param is EndpointRelay else []
    made = request.param(*needs)
    with OpenRelay(made, RUN):
        made.admit(RUN, {0: [1], 1: [0, 2], 2: [1]})
        yield made


def test_a_neighbor_collects_what_was_published(relay) -> None:
    relay.mailbox(RUN, 0).publish(FIRST, model(1.5))
    arrived = relay.mailbox(RUN, 1).collect([0, 2], FIRST)
    assert list(arrived) == [0]
    assert arrived[0]["w"].tolist() == [1.5] * 3
    assert arrived[0]["b"].shape == ()


def test_a_stranger_gets_nothing(relay) -> None:
    relay.mailbox(RUN, 0).publish(FIRST, model(1))
    assert relay.mailbox(RUN, 2).collect([0], FIRST) == {}


def test_slots_are_kept_apart_and_the_oldest_goes(relay) -> None:
    box, reader = relay.mailbox(RUN, 0), relay.mailbox(RUN, 1)
    kept = KEPT_FOR_THE_SLOW if isinstance(relay, EndpointRelay) else KEPT
    for step in range(kept + 1):
        box.publish(Slot("model", 1, step), model(step))
    assert reader.collect([0], Slot("model", 1, 0)) == {}
    for step in range(1, kept + 1):
        assert reader.collect([0], Slot("model", 1, step))[0]["b"] == step
    assert reader.collect([0], Slot("other", 1, kept)) == {}


def test_publishing_a_slot_again_replaces_it(relay) -> None:
    box = relay.mailbox(RUN, 0)
    for value in (1, 2, 3):
        box.publish(FIRST, model(value))
    kept = box.recall("model")
    assert [(slot, held["b"].item()) for slot, held in kept] == [(FIRST, 3)]


def test_recall_gives_the_own_publications_newest_first(relay) -> None:
    box = relay.mailbox(RUN, 0)
    box.publish(FIRST, model(1))
    box.publish(SECOND, model(2))
    models = box.recall("model")
    assert [slot for slot, _ in models] == [SECOND, FIRST]
    assert models[0][1]["w"].tolist() == [2] * 3
    assert box.recall("nothing") == []


def test_collected_arrays_cannot_be_changed(relay) -> None:
    original = model(1)
    relay.mailbox(RUN, 0).publish(FIRST, original)
    original["w"][0] = 99
    arrived = relay.mailbox(RUN, 1).collect([0], FIRST)[0]
    assert arrived["w"][0] == 1
    with pytest.raises(ValueError, match="read-only"):
        arrived["w"][0] = 2


def test_observe_shows_everybodys_newest_or_says_why_not(relay) -> None:
    for device in (2, 0, 1):
        relay.mailbox(RUN, device).publish(FIRST, model(device))
    relay.mailbox(RUN, 1).publish(SECOND, model(10))
    if not relay.observable:
        with pytest.raises(RelayError, match="cannot be observed over a network"):
            relay.observe(RUN, "model")
        return
    assert {d: m["b"].item() for d, m in relay.observe(RUN, "model").items()} == {0: 0, 1: 10, 2: 2}
    assert list(relay.observe(RUN, "model")) == [0, 1, 2]


def test_collect_waits_until_the_deadline_and_no_longer(relay) -> None:
    box, reader = relay.mailbox(RUN, 0), relay.mailbox(RUN, 1)
    started = time.monotonic()
    assert reader.collect([0], FIRST, deadline=0.2) == {}
    assert time.monotonic() - started >= 0.2
    later = threading.Timer(0.1, box.publish, (FIRST, model(4)))
    later.start()
    assert reader.collect([0], FIRST, deadline=30)[0]["b"] == 4
    later.join()
    assert time.monotonic() - started < 20


def test_runs_are_kept_apart(relay) -> None:
    with OpenRelay(relay, RUN + 1):
        relay.mailbox(RUN, 0).publish(FIRST, model(1))
        relay.admit(RUN + 1, {0: [1]})
        assert relay.mailbox(RUN + 1, 1).collect([0], FIRST) == {}


def test_a_closed_run_is_gone(relay) -> None:
    relay.close(RUN)
    relay.close(RUN)
    with pytest.raises(RelayError, match=r"open for run 99"):
        relay.mailbox(99, 0)
    with pytest.raises(RelayError, match=rf"(not open for run {RUN}|over a network)"):
        relay.observe(RUN, "model")


def test_a_ray_relay_travels_without_its_actors() -> None:
    relay = RayRelay(start_timeout=3)
    relay._held[RUN] = object()
    copy = pickle.loads(pickle.dumps(relay))
    assert copy._held == {}
    assert copy._start_timeout == 3


def test_without_ray_the_error_says_what_the_relay_is_for(monkeypatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(RelayError, match="serves Flower's simulation"):
        RayRelay(start_timeout=0.05).open(RUN)


def test_private_arrays_are_for_the_device_alone(relay) -> None:
    mine = {"a": np.zeros(2), "n": np.array(3), "b": np.ones(1), "m": np.array([True])}
    relay.mailbox(RUN, 0).publish(FIRST, mine, private=["n", "m"])
    assert list(relay.mailbox(RUN, 1).collect([0], FIRST)[0]) == ["a", "b"]
    seen = [relay.observe(RUN, "model")[0]] if relay.observable else []
    for own in (
        relay.mailbox(RUN, 0).collect([0], FIRST)[0],
        relay.mailbox(RUN, 0).recall("model")[0][1],
        *seen,
    ):
        assert list(own) == ["a", "n", "b", "m"]
        assert own["n"] == 3
        assert own["m"].tolist() == [True]


DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_shape_arrives_as_it_was(relay, dtype) -> None:
    values = np.arange(6).astype(dtype)
    sent = {"m": values.reshape(2, 3), "t": values.reshape(2, 3).T, "e": values[:0], "s": values[2]}
    relay.mailbox(RUN, 0).publish(FIRST, {k: np.asarray(v) for k, v in sent.items()})
    arrived = relay.mailbox(RUN, 1).collect([0], FIRST)[0]
    assert list(arrived) == list(sent)
    for name, array in sent.items():
        assert arrived[name].dtype == np.dtype(dtype)
        assert arrived[name].shape == np.shape(array)
        assert np.array_equal(arrived[name], array)


def test_a_file_relay_works_from_another_process(tmp_path) -> None:
    relay = FileRelay(tmp_path)
    with OpenRelay(relay, RUN):
        relay.admit(RUN, {3: [4]})
        code = (
            "import sys, numpy as np; from p2pl_flower.relay import FileRelay, Slot; "
            "box = FileRelay(sys.argv[1]).mailbox(5, 3); "
            "box.publish(Slot('model', 1, 0), {'w': np.arange(3.0)})"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
        assert relay.mailbox(RUN, 4).collect([3], FIRST)[3]["w"].tolist() == [0, 1, 2]
        [folder] = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o077 == 0  # nobody else's business
    assert list(tmp_path.iterdir()) == []


def test_a_file_relay_keeps_no_more_files_than_it_must(tmp_path) -> None:
    relay = FileRelay(tmp_path)
    with OpenRelay(relay, RUN):
        box = relay.mailbox(RUN, 0)
        for step in range(10):
            box.publish(Slot("model", 1, step), model(step), private=["b"])
        assert len(list((next(tmp_path.iterdir()) / "0").iterdir())) == 4


def test_what_killed_runs_left_behind_is_swept_away(tmp_path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, living = FileRelay(tmp_path), FileRelay(tmp_path)
    left.open(1)
    living.open(2)
    [folder] = tmp_path.glob("*-1")
    (folder / "owner").write_text(str(dead.pid))
    with OpenRelay(FileRelay(tmp_path), 3):
        assert {p.name.rpartition("-")[2] for p in tmp_path.iterdir()} == {"2", "3"}


def test_a_file_relay_says_where_it_cannot_work(tmp_path) -> None:
    with pytest.raises(RelayError, match=r"cannot keep run 5 in .*nowhere"):
        FileRelay(tmp_path / "nowhere").open(RUN)
    with OpenRelay(FileRelay(tmp_path), RUN):
        box = FileRelay(tmp_path).mailbox(RUN, 0)
        with pytest.raises(RelayError, match="cannot publish"):
            box.publish(FIRST, {"w": np.array(["text"])})
