"""Which links a report draws, and which of them are down."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from histories_by_hand import network

from p2pl_flower.links import LINKS
from p2pl_flower.report import Network
from p2pl_flower.report.network import MOST_LINKS
from p2pl_flower.topology import schedule


def test_a_ring_without_losses():
    found = network(4, rounds=2, links="perfect")
    assert found.links.tolist() == [[0, 1], [0, 3], [1, 2], [2, 3]]
    assert found.there.shape == (2, 4)
    assert found.there.all()
    assert found.up.all()
    assert not found.changes


def test_lost_links_are_those_that_devices_find_down():
    links = LINKS.of("bernoulli:up=0.5", seed=0)
    found = network(8, rounds=6)
    for t in range(1, 7):
        expected = [bool(links.up(a, b, t, 1)) for a, b in found.links.tolist()]
        assert found.up[t - 1].tolist() == expected
    assert 0 < found.up.sum() < found.up.size


def test_a_graph_that_changes_has_the_links_of_each_round():
    graphs = schedule("random-matchings", 6, 1)
    found = Network.over("random-matchings", graphs, 4, 1, LINKS.of("perfect", seed=0))
    assert found.changes
    for t in range(1, 5):
        drawn = {tuple(link) for link in found.links[found.there[t - 1]].tolist()}
        assert drawn == {(min(e), max(e)) for e in graphs.graph(t).edges}


def test_of_very_many_links_some_are_drawn_and_all_are_counted():
    found = Network.over("k", schedule("complete", 120, 0), 1, 1, LINKS.of("perfect", seed=0))
    assert found.total == 120 * 119 // 2
    assert len(found.links) == MOST_LINKS == len(np.unique(found.links, axis=0))


@pytest.mark.parametrize("topology", ["ring", "star", "torus", "erdos-renyi:p=0.3", "path"])
def test_places_are_within_the_square_and_apart(topology):
    places = Network.over(
        topology, schedule(topology, 16, 0), 1, 1, LINKS.of("perfect", seed=0)
    ).places
    assert np.abs(places).max() == pytest.approx(1)
    assert len(np.unique(places.round(3), axis=0)) == 16


def test_devices_that_have_places_are_drawn_there():
    graph = nx.Graph([(0, 1), (1, 2)])
    nx.set_node_attributes(graph, {0: (0, 0), 1: (1, 0), 2: (2, 0)}, "pos")
    found = Network.over("own", schedule(graph, 3, 0), 1, 1, LINKS.of("perfect", seed=0))
    assert found.places.tolist() == [[-1, 0], [0, 0], [1, 0]]
