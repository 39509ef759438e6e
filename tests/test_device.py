"""Devices among themselves: synchronization and consensus over a relay, without Flower."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pl_flower import named_arrays
from p2pl_flower.device import Device
from p2pl_flower.errors import LayoutError, P2PLError
from p2pl_flower.options import Options
from p2pl_flower.relay import MemoryRelay
from p2pl_flower.relay.entry_mailbox import EntryMailbox
from p2pl_flower.relay.mailbox import Collected
from p2pl_flower.topology import diameter, schedule
from p2pl_flower.topology.neighborhood import neighborhood

RUN = 1
TOPOLOGIES = [
    "complete",
    "ring",
    "star",
    "path",
    "torus",
    "regular:d=4",
    "erdos-renyi:p=0.3",
    "small-world:k=4,p=0.2",
    "scale-free:m=2",
    "random-geometric:radius=0.5",
    "exponential",
]


def make_peers(
    graph: nx.Graph, samples: Mapping[int, int] | None = None, **options
) -> tuple[MemoryRelay, list[Device]]:
    relay = MemoryRelay()
    relay.open(RUN)
    relay.admit(RUN, {d: sorted(graph[d]) for d in graph})
    made = Options(**options)
    return relay, [
        Device(*neighborhood(graph, d, samples, made.matrix), relay.mailbox(RUN, d), made)
        for d in sorted(graph)
    ]


def draw(device: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(device)
    return {
        "a": (scale * rng.normal(size=(3, 2))).astype(np.float32),
        "steps": np.array(100 + device),
        "b": (scale * rng.normal(size=4)).astype(np.float32),
    }


def norm(model: Mapping[str, np.ndarray], *names: str) -> float:
    return float(np.sqrt(sum((model[n].astype(float) ** 2).sum() for n in names)))


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_largest_norm_floods_in_diameter_steps(topology: str) -> None:
    graph = schedule(topology, 16, seed=3).graph(1)
    _relay, peers = make_peers(graph)
    for peer in peers:
        peer.start(draw(peer.me.id))
    strongest = max(range(16), key=lambda d: norm(draw(d), "a", "b"))
    steps = diameter(graph)
    reached = []
    for step in range(1, steps + 1):
        exchanges = [peer.synchronize(step) for peer in peers]
        reached.append(sum(e.origins == (strongest,) for e in exchanges))
    assert reached[-1] == 16
    assert reached == sorted(reached)
    for peer in peers:
        assert np.array_equal(peer.model()["a"], draw(strongest)["a"])
        assert peer.model()["steps"] == 100 + peer.me.id  # its own, still
    # and no sooner than its distance from the winner
    assert len(reached) == steps
    farthest = max(nx.single_source_shortest_path_length(graph, strongest).values())
    assert reached[farthest - 1] == 16
    assert farthest == 1 or reached[farthest - 2] < 16


def test_scope_tensor_has_a_winner_for_each_array() -> None:
    _relay, peers = make_peers(nx.path_graph(3), max_norm_scope="tensor")
    a = [np.full(2, v, np.float32) for v in (1, 9, 2)]
    b = [np.full(3, v, np.float32) for v in (1, 2, 9)]
    for peer in peers:
        peer.start({"a": a[peer.me.id], "b": b[peer.me.id]})
    for step in (1, 2):
        exchanges = [peer.synchronize(step) for peer in peers]
    assert [e.origins for e in exchanges] == [(1, 2)] * 3
    assert all(p.model()["a"][0] == 9 and p.model()["b"][0] == 9 for p in peers)


def test_ties_go_to_the_smallest_id() -> None:
    _relay, peers = make_peers(nx.cycle_graph(5))
    for peer in peers:
        peer.start({"w": np.array([3.0, 4.0])[:: (-1) ** peer.me.id]})
    for step in (1, 2):
        exchanges = [peer.synchronize(step) for peer in peers]
    assert {e.origins for e in exchanges} == {(0,)}


def test_devices_without_a_model_take_the_one_there_is() -> None:
    _relay, peers = make_peers(nx.path_graph(4))
    for peer in peers:
        peer.start(draw(0) if peer.me.id == 0 else None)
    with pytest.raises(P2PLError, match="device 3 has no model"):
        peers[3].model()
    for step in (1, 2, 3):
        exchanges = [peer.synchronize(step) for peer in peers]
        assert sum(e.origins == (0,) for e in exchanges) == step + 1
    assert list(peers[3].model()) == ["a", "steps", "b"]
    assert peers[3].model()["steps"] == 100  # it had none of its own


def test_only_models_that_win_are_fetched() -> None:
    _relay, peers = make_peers(nx.complete_graph(4))
    for peer in peers:
        peer.start({"w": np.full(1000, 1.0 + peer.me.id)})
    sent = [peer.synchronize(1).received for peer in peers]
    assert [s[3] > 8000 for s in sent[:3]] == [True] * 3
    assert all(size < 100 for s in sent for j, size in s.items() if j != 3)


def train(peer: Device, model: dict[str, np.ndarray]) -> None:
    """Publish what training made."""
    peer.after_training(1, model, {})


def published(peers: list[Device], values: list[float]) -> None:
    for peer, value in zip(peers, values, strict=True):
        train(peer, {"w": np.array([float(value)]), "n": np.array(peer.me.id)})


def test_a_consensus_step_is_the_formula() -> None:
    # path 0 - 1 - 2, Metropolis: a_01 = a_12 = 1 / (1 + 2) = 1/3
    _relay, peers = make_peers(nx.path_graph(3))
    published(peers, [0, 3, 9])
    mixed = [peer.mix(1, 1) for peer in peers]
    assert [m.holding.model["w"].item() for m in mixed] == pytest.approx([1, 4, 7])
    assert [m.holding.model["n"].item() for m in mixed] == [0, 1, 2]
    assert mixed[1].exchange.received == {0: 8, 2: 8}  # n is private


def test_data_size_weights_use_the_neighbors_samples() -> None:
    # device 0 with 1 sample, neighbors with 3 and 4: weights 3/8 and 4/8
    _relay, peers = make_peers(nx.star_graph(2), {0: 1, 1: 3, 2: 4}, weights="data-size")
    published(peers, [0, 8, 16])
    assert peers[0].mix(1, 1).holding.model["w"].item() == pytest.approx(3 + 8)


def test_a_matrix_of_the_users() -> None:
    matrix = [[0.5, 0.5, 0], [0.1, 0.7, 0.2], [0, 0, 1]]
    _relay, peers = make_peers(nx.path_graph(3), weights=matrix)
    published(peers, [0, 10, 20])
    mixed = [peer.mix(1, 1).holding.model["w"].item() for peer in peers]
    assert mixed == pytest.approx(np.array(matrix) @ [0, 10, 20])


@pytest.mark.parametrize(("on_missing", "expected"), [("self", 1.0), ("neighbors", 2.0)])
def test_a_lost_neighbors_weight_goes_where_the_options_say(on_missing, expected) -> None:
    _relay, peers = make_peers(nx.star_graph(2), on_missing=on_missing)
    for peer in peers[:2]:  # device 2 does not answer
        train(peer, {"w": np.array([3.0 * peer.me.id])})
    mixed = peers[0].mix(1, 1)  # Metropolis in a star of 3: 1/3 for each neighbor
    assert mixed.holding.model["w"].item() == pytest.approx(expected)
    assert mixed.exchange.received == {1: 8}


def test_weights_are_those_of_the_links_that_are_up() -> None:
    _relay, peers = make_peers(nx.star_graph(3), on_missing="reweight")
    for peer in peers[:3]:  # device 3 does not answer
        train(peer, {"w": np.array([3.0 * peer.me.id])})
    for peer in peers[:3]:
        peer.hear(1, 1)
    mixed = [peer.mix(1, 1) for peer in peers[:3]]  # Metropolis in a star of 3: 1/3 a neighbor
    assert [m.holding.model["w"].item() for m in mixed] == pytest.approx([3.0, 2.0, 4.0])
    assert mixed[0].exchange.received == {1: 8, 2: 8}
    assert mixed[0].exchange.told == {1: 8, 2: 8}  # an id each
    assert mixed[1].exchange.told == {0: 16}


def test_what_is_of_an_earlier_step_is_not_heard() -> None:
    """Over a network a late neighbor's newest publication may come instead: it is no sign."""

    class Late(EntryMailbox):
        def collect(self, senders, slot, deadline=None):
            return Collected(super().collect(senders, slot, deadline), {1: 1})

    _relay, peers = make_peers(nx.star_graph(2), on_missing="reweight")
    published(peers, [0, 3, 6])
    mailbox = peers[0].mailbox
    mailbox.__class__ = Late
    for peer in peers:
        peer.hear(1, 1)
    assert mailbox.recall("heard")[0][1]["heard"].tolist() == [2]
    mailbox.__class__ = EntryMailbox
    assert peers[0].mix(1, 1).holding.model["w"].item() == pytest.approx(3)  # of two: a half
    assert peers[1].mix(1, 1).holding.model["w"].item() == 3  # it is not heard in turn


def test_a_device_that_was_not_asked_whom_it_hears_stays_as_it_is() -> None:
    _relay, peers = make_peers(nx.path_graph(2), on_missing="reweight")
    published(peers, [0, 4])
    peers[0].hear(1, 1)
    assert [peer.mix(1, 1).holding.model["w"].item() for peer in peers] == [0, 4]


@given(st.integers(0, 10**6), st.floats(0.1, 1), st.floats(0.05, 1))
@settings(max_examples=15, deadline=None)
def test_metropolis_keeps_the_mean_under_symmetric_losses(seed, up, gamma) -> None:
    graph = schedule("erdos-renyi:p=0.4", 12, seed=1).graph(1)
    links = f"bernoulli:up={up}"
    _relay, peers = make_peers(graph, links=links, seed=seed, consensus_gamma=gamma)
    values = list(np.random.default_rng(seed).normal(size=12))
    published(peers, values)
    after = [peer.mix(1, 1).holding.model["w"].item() for peer in peers]
    assert np.mean(after) == pytest.approx(np.mean(values), abs=1e-12)
    assert min(values) - 1e-12 <= min(after)
    assert max(after) <= max(values) + 1e-12


def test_a_device_that_missed_training_mixes_what_it_has() -> None:
    _relay, peers = make_peers(nx.path_graph(2))
    peers[0].start({"w": np.array([1.0])})
    train(peers[1], {"w": np.array([3.0])})
    assert peers[0].mix(1, 1).holding.model["w"].item() == 2
    assert peers[1].mix(1, 1).exchange.received == {}


def test_affinity_is_pulled_as_the_last_step_was() -> None:
    options = {"consensus_gamma": 0.5, "algorithm": "p2pl-affinity:strength=0.3"}
    _relay, peers = make_peers(nx.path_graph(2), consensus_steps=2, **options)
    peers[0].start({"w": np.array([0.0])})
    assert peers[0].before_training(peers[0].holding()).correction is None
    published(peers, [0, 8])
    assert peers[0].before_training(peers[0].holding()).correction is None
    for step in (1, 2):
        mixed = [peer.mix(1, step) for peer in peers]
        for peer, m in zip(peers, mixed, strict=True):
            peer.publish(1, step, m.holding)
    # step 1: 0 -> 2, 8 -> 6; step 2 pulls device 0 towards 6: 0.5 * (6 - 2) = 2
    correction = peers[0].before_training(peers[0].holding()).correction
    assert correction["w"].item() == pytest.approx(0.3 * 2)
    assert "n" not in correction  # integers are not mixed


def test_private_arrays_stay_and_keep_their_places() -> None:
    relay, peers = make_peers(nx.path_graph(2))
    train(peers[0], draw(5))
    assert list(peers[0].model()) == ["a", "steps", "b"]
    assert peers[0].model()["steps"] == 105
    seen = relay.mailbox(RUN, 1).collect([0], peers[0].mailbox.recall("model")[0][0])[0]
    assert list(seen) == ["a", "b"]


def test_another_model_class_is_refused_by_name() -> None:
    _relay, peers = make_peers(nx.path_graph(2))
    train(peers[0], {"w": np.zeros(2)})
    train(peers[1], {"w": np.zeros(3)})
    with pytest.raises(LayoutError, match="at device 1 but float64"):
        peers[0].mix(1, 1)


def test_many_steps_reach_consensus() -> None:
    _relay, peers = make_peers(schedule("torus", 9, seed=0).graph(1))
    values = list(range(9))
    published(peers, values)
    for step in range(1, 60):
        mixed = [peer.mix(1, step) for peer in peers]
        for peer, m in zip(peers, mixed, strict=True):
            peer.publish(1, step, m.holding)
    assert named_arrays.consensus_distance([p.model() for p in peers]) < 1e-6
    assert peers[0].model()["w"].item() == pytest.approx(4)
