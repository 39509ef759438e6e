"""The contract that every relay keeps, and what is particular to one of them."""

from __future__ import annotations

import pickle
import threading
import time

import numpy as np
import pytest
from local_grid import LocalGrid
from toy_app import START, add_functions

from p2pl_flower import P2PL, GrpcRelay, PeerApp
from p2pl_flower.errors import RelayError
from p2pl_flower.named_arrays import Model
from p2pl_flower.relay import (
    FileRelay,
    Mailbox,
    MemoryRelay,
    OpenRelay,
    RayRelay,
    Relay,
    Slot,
    pack,
    unpack,
)
from p2pl_flower.relay.daemon.server import LocalServer
from p2pl_flower.relay.grpc import Endpoint, EndpointRelay, Waiting
from p2pl_flower.relay.grpc.own_publications import KEPT_FOR_THE_SLOW
from p2pl_flower.relay.mailbox import KEPT

pytestmark = pytest.mark.slow

RUN = 5
FIRST, SECOND = Slot("model", 1, 0), Slot("model", 1, 1)


def model(value: float) -> dict[str, np.ndarray]:
    return {"w": np.full(3, value, np.float32), "b": np.array(value)}


class BytesRelay(Relay):
    """All that the author of a relay has to write."""

    def __init__(self) -> None:
        self.entries: dict[tuple[int, str], bytes] = {}

    def put(self, run: int, key: str, arrays: Model | None) -> None:
        if arrays is None:
            self.entries.pop((run, key), None)
        else:
            self.entries[run, key] = pack(arrays)

    def get(self, run: int, key: str) -> Model | None:
        found = self.entries.get((run, key))
        return None if found is None else unpack(found)


class DaemonRelays(GrpcRelay):
    """The relays of SuperNodes, each with its own daemon, as one."""

    def __init__(self, addresses: list[str], servers: list[LocalServer]) -> None:
        super().__init__()
        self.addresses, self.servers = addresses, servers

    def mailbox(self, run: int, device: int) -> Mailbox:
        return self.at({"p2pl-relay": self.servers[device].address}).mailbox(run, device)

    def admit(self, run: int, neighbors) -> None:
        for device in range(len(self.servers)):
            listed = {j: self.addresses[j] for j in neighbors.get(device, ())}
            self.mailbox(run, device).meet(listed)


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


@pytest.fixture
def daemons(endpoints, tmp_path):
    """The same with a daemon each."""
    made = [LocalServer(f"unix:{tmp_path}/{d}.sock", e) for d, e in enumerate(endpoints)]
    for server in made:
        server.start()
    yield [endpoint.address for endpoint in endpoints], made
    for server in made:
        server.close()


KINDS = [BytesRelay, MemoryRelay, FileRelay, RayRelay, EndpointRelay, DaemonRelays]
NEEDS = {RayRelay: "ray_session", EndpointRelay: "endpoints", DaemonRelays: "daemons"}


@pytest.fixture(params=KINDS)
def relay(request):
    found = request.getfixturevalue(NEEDS[request.param]) if request.param in NEEDS else None
    made = request.param(*(found or ()))
    with OpenRelay(made, RUN):
        made.admit(RUN, {0: [1], 1: [0, 2], 2: [1]})
        yield made


def test_a_neighbor_collects_what_was_published(relay) -> None:
    relay.mailbox(RUN, 0).publish(FIRST, model(1.5))
    arrived = relay.mailbox(RUN, 1).collect([0, 2], FIRST)
    assert list(arrived) == [0]
    assert arrived[0]["w"].tolist() == [1.5] * 3
    assert arrived[0]["b"].shape == ()


def test_who_is_no_neighbor_gets_nothing(relay) -> None:
    relay.mailbox(RUN, 0).publish(FIRST, model(1))
    assert relay.mailbox(RUN, 2).collect([0], FIRST) == {}


def test_slots_are_kept_apart_and_the_oldest_goes(relay) -> None:
    box, reader = relay.mailbox(RUN, 0), relay.mailbox(RUN, 1)
    kept = KEPT if relay.observable else KEPT_FOR_THE_SLOW
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
    assert [slot for slot, _ in box.recall("model", newest=1)] == [SECOND]
    assert [slot for slot, _ in box.recall("model", newest=9)] == [SECOND, FIRST]
    assert box.recall("nothing") == []
    assert box.recall("nothing", newest=1) == []


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
        relay.mailbox(99, 0).recall("model")
    if not isinstance(relay, DaemonRelays):  # whose ClientApp opens a run by its neighbor list
        with pytest.raises(RelayError, match=r"open for run 99"):
            relay.mailbox(99, 0)
    with pytest.raises(RelayError, match=rf"(not open for run {RUN}|over a network)"):
        relay.observe(RUN, "model")


def test_a_copy_of_a_ray_relay_does_not_hold_its_actors() -> None:
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


def test_all_arrays_may_be_private_or_none_be_there(relay) -> None:
    box, reader = relay.mailbox(RUN, 0), relay.mailbox(RUN, 1)
    box.publish(FIRST, model(1), private=["w", "b"])
    assert reader.collect([0], FIRST) == {0: {}}
    assert list(box.collect([0], FIRST)[0]) == ["w", "b"]
    box.publish(SECOND, {})
    assert reader.collect([0], SECOND) == {0: {}}
    assert [dict(found) for _, found in box.recall("model", newest=1)] == [{}]


def test_a_slot_that_is_published_again_without_private_arrays_has_none(relay) -> None:
    box = relay.mailbox(RUN, 0)
    box.publish(FIRST, model(1), private=["w"])
    box.publish(FIRST, {"b": np.array(2.0)})
    [(_, own)] = box.recall("model")
    assert {name: array.item() for name, array in own.items()} == {"b": 2}


def test_admitting_replaces_who_was_admitted(relay) -> None:
    relay.mailbox(RUN, 0).publish(FIRST, model(1))
    relay.mailbox(RUN, 1).publish(FIRST, model(2))
    relay.admit(RUN, {0: [2], 1: [], 2: [0]})
    assert relay.mailbox(RUN, 1).collect([0], FIRST, deadline=0.1) == {}
    assert list(relay.mailbox(RUN, 2).collect([0], FIRST)) == [0]
    if relay.observable:  # who is nobody's neighbor for now is in the run all the same
        assert list(relay.observe(RUN, "model")) == [0, 1]


@pytest.mark.parametrize("kind", [BytesRelay, MemoryRelay])
def test_nothing_piles_up_and_nothing_is_left(kind) -> None:
    relay = kind()
    entries = relay.entries if kind is BytesRelay else relay._entries
    with OpenRelay(relay, RUN), OpenRelay(relay, RUN + 1):
        relay.admit(RUN, {0: [1], 1: [0]})
        for step in range(10):
            for channel in ("model", "other"):
                relay.mailbox(RUN, 0).publish(Slot(channel, 1, step), model(step), ["b"])
        # who may collect (of two runs), one index, and public and private parts
        assert len(entries) == 2 + 1 + 2 * 2 * KEPT
        relay.open(RUN)
        assert len(entries) == 2
    assert entries == {}


def test_put_and_get_are_asked_for_when_a_relay_is_made() -> None:
    class Half(Relay):
        def get(self, run, key):
            return None

    with pytest.raises(TypeError, match=r"abstract method '?put"):
        Half()


def test_a_relay_with_mailboxes_of_its_own_has_no_entries() -> None:
    for call in (lambda r: r.get(RUN, "key"), lambda r: r.put(RUN, "key", None)):
        with pytest.raises(RelayError, match="RayRelay keeps no entries: use its mailboxes"):
            call(RayRelay())


@pytest.mark.parametrize("kind", [BytesRelay, FileRelay])
def test_p2pl_trains_over_a_relay_of_two_methods(kind) -> None:
    def trained(relay: Relay) -> tuple[P2PL, np.ndarray]:
        app = PeerApp(relay=relay)
        add_functions(app)
        strategy = P2PL("ring", num_devices=4, relay=relay, weights="data-size")
        result = strategy.start(LocalGrid(app, 4), START, 3)
        return strategy, result.arrays["w"].numpy()

    (ours, mean), (theirs, expected) = trained(kind()), trained(MemoryRelay())
    assert mean.tolist() == expected.tolist()
    assert mean[0] > 0.5  # towards the devices' ids, 0 to 3, from 0
    for our, their in zip(ours.rounds, theirs.rounds, strict=True):
        assert our.after_consensus == their.after_consensus
        assert our.consensus_distance == their.consensus_distance
        assert our.bytes_sent == their.bytes_sent


DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]


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
