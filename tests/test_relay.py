"""The contract that every relay keeps, and what is particular to one of them."""

from __future__ import annotations

import pickle
import threading
import time

import numpy as np
import pytest

from p2pl_flower.errors import RelayError
from p2pl_flower.relay import FileRelay, MemoryRelay, OpenRelay, RayRelay, Slot

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


@pytest.fixture(params=[MemoryRelay, FileRelay, RayRelay])
def relay(request):
    if request.param is RayRelay:
        request.getfixturevalue("ray_session")
    made = request.param()
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
    for step in range(3):
        box.publish(Slot("model", 1, step), model(step))
    assert reader.collect([0], Slot("model", 1, 0)) == {}
    assert reader.collect([0], Slot("model", 1, 1))[0]["b"] == 1
    assert reader.collect([0], Slot("model", 1, 2))[0]["b"] == 2
    assert reader.collect([0], Slot("other", 1, 2)) == {}


def test_publishing_a_slot_again_replaces_it(relay) -> None:
    box = relay.mailbox(RUN, 0)
    for value in (1, 2, 3):
        box.publish(FIRST, model(value))
    [kept] = box.recall("model")
    assert [(slot, held["b"].item()) for slot, held in kept] == [(FIRST, 3)]


def test_recall_gives_the_own_publications_newest_first(relay) -> None:
    box = relay.mailbox(RUN, 0)
    box.publish(FIRST, model(1))
    box.publish(SECOND, model(2))
    models, others = box.recall("model", "nothing")
    assert [slot for slot, _ in models] == [SECOND, FIRST]
    assert models[0][1]["w"].tolist() == [2] * 3
    assert others == []


def test_collected_arrays_cannot_be_changed(relay) -> None:
    original = model(1)
    relay.mailbox(RUN, 0).publish(FIRST, original)
    original["w"][0] = 99
    arrived = relay.mailbox(RUN, 1).collect([0], FIRST)[0]
    assert arrived["w"][0] == 1
    with pytest.raises(ValueError, match="read-only"):
        arrived["w"][0] = 2


def test_observe_shows_everybodys_newest(relay) -> None:
    for device in (2, 0, 1):
        relay.mailbox(RUN, device).publish(FIRST, model(device))
    relay.mailbox(RUN, 1).publish(SECOND, model(10))
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
    with pytest.raises(RelayError, match=f"not open for run {RUN}"):
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
