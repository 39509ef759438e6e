"""Graphs of one-way links, and who is told what in them."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from p2pl_flower import Options
from p2pl_flower import topology as t
from p2pl_flower.errors import TopologyError
from p2pl_flower.flower import messages
from p2pl_flower.options import check_direction
from p2pl_flower.swarm.edges import Edges
from p2pl_flower.topology.neighborhood import Neighbor, heard_in, linked_in, neighborhood
from p2pl_flower.weights import DataSize, Uniform, check_matrix, mixing_matrix

# 0 -> 1 -> 2 -> 0, and 0 -> 2: 2 hears 0 and 1
GRAPH = nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 2)])


def test_a_device_is_told_whom_it_hears_and_who_hears_it() -> None:
    assert [heard_in(GRAPH, k) for k in range(3)] == [[2], [0], [0, 1]]
    assert [linked_in(GRAPH, k) for k in range(3)] == [[1, 2], [0, 2], [0, 1]]
    own, others = neighborhood(GRAPH, 2, {0: 1, 1: 2, 2: 3})
    assert own == Neighbor(2, 2, 3, out_degree=1, listeners=(0,))
    assert others == (Neighbor(0, 1, 1, out_degree=2), Neighbor(1, 1, 2, out_degree=1))
    assert [other.heard_by for other in others] == [2, 1]
    assert neighborhood(nx.path_graph(3), 1)[0].heard_by == 2


@pytest.mark.parametrize("device", [0, 1, 2])
def test_what_a_device_is_told_travels(device) -> None:
    told = neighborhood(GRAPH, device, {0: 1, 1: 2, 2: 3})
    config = messages.neighbors_to_config(*told)
    assert messages.neighbors_from_config(config) == told
    assert all(map(messages.is_neighbor_key, config))
    nobody = nx.DiGraph([(0, 1)])  # 1 is heard by nobody, in this step
    told = neighborhood(nobody, 1)
    assert messages.neighbors_from_config(messages.neighbors_to_config(*told)) == told


def test_rows_are_over_those_that_are_heard() -> None:
    half, third = 1 / 2, 1 / 3
    expected = [[half, 0, half], [half, half, 0], [third, third, third]]
    assert np.allclose(mixing_matrix(GRAPH, Uniform()), expected)
    expected = [[0.25, 0, 0.75], [1 / 3, 2 / 3, 0], [1 / 6, 2 / 6, 3 / 6]]
    assert np.allclose(mixing_matrix(GRAPH, DataSize(), {0: 1, 1: 2, 2: 3}), expected)
    assert check_matrix(expected, GRAPH).shape == (3, 3)
    with pytest.raises(TopologyError, match="strongly connected"):
        t.Static(nx.DiGraph([(0, 1), (1, 2)]))
    with pytest.raises(Exception, match=r"weight \[0, 1\] is 0.5 but must be 0"):
        check_matrix([[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]], GRAPH)


def test_edges_have_one_direction() -> None:
    edges = Edges.of(GRAPH)
    assert list(zip(edges.to.tolist(), edges.source.tolist(), strict=True)) == [
        (0, 2), (1, 0), (2, 0), (2, 1),
    ]  # fmt: skip
    assert edges.degrees.tolist() == [1, 1, 2]
    assert edges.out_degrees.tolist() == [2, 1, 1]
    assert Edges.of(nx.path_graph(3)).heard_by.tolist() == [1, 2, 1]


def test_the_diameter_is_along_the_links() -> None:
    assert t.diameter(t.directed_ring(5)) == 4
    assert t.diameter(t.ring(5)) == 2


def test_directed_families() -> None:
    assert sorted(t.directed_ring(3).edges) == [(0, 1), (1, 2), (2, 0)]
    assert sorted(t.exponential(5, directed=True).pred[0]) == [1, 3, 4]  # 0 - 4, 0 - 2, 0 - 1
    assert sorted(t.OnePeerExponential(5, directed=True).graph(2).edges)[:2] == [(0, 2), (1, 3)]
    graph = t.schedule("random-out:s=4", 20, seed=3).graph(1)
    assert set(dict(graph.out_degree).values()) == {4}
    assert len(set(dict(graph.in_degree).values())) > 1
    assert nx.is_strongly_connected(graph)


def test_epidemic_learning_draws_receivers_anew_and_uniformly() -> None:
    local = t.EpidemicLocal(6, s=2, seed=1)
    counts = np.zeros((6, 6))
    for number in range(1, 601):
        graph = local.graph(number)
        assert set(dict(graph.out_degree).values()) == {2}
        for j, k in graph.edges:
            counts[j, k] += 1
    assert not np.diag(counts).any()
    apart = counts[~np.eye(6, dtype=bool)] / 600 - 2 / 5
    assert np.abs(apart).max() < 0.08
    assert local.links(2, 1, 3) is local.graph(4)


def test_the_oracle_lets_everybody_hear_as_many_as_hear_it() -> None:
    oracle = t.schedule("epidemic-oracle:s=3", 10, seed=1)
    assert oracle == t.RandomRegular(10, 3, seed=1)
    for number in (1, 2, 3):
        assert set(dict(oracle.graph(number).degree).values()) == {3}
    assert not nx.utils.graphs_equal(oracle.graph(1), oracle.graph(2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epidemic-local:s=9", "s=9: must be less than n=9"),
        ("epidemic-local:s=0", "s=0: must be at least 1"),
        ("epidemic-oracle:s=3", "s=3: n \\* s must be even, and n=9 is odd"),
        ("random-regular:d=9", "d=9: must be less than n=9"),
        ("random-out:s=9", "s=9: must be less than n=9"),
    ],
)
def test_refused(text, message) -> None:
    with pytest.raises(TopologyError, match=message):
        t.schedule(text, 9)


@pytest.mark.parametrize("name", ["led", "k-gt", "exact-diffusion", "gradient-tracking"])
def test_algorithms_that_need_symmetric_links_are_refused_by_name(name) -> None:
    options = Options(algorithm=name)
    with pytest.raises(TopologyError, match=f"algorithm='{name}.*' needs symmetric ones"):
        check_direction(options, t.schedule("directed-ring", 4))
    check_direction(options, t.schedule("ring", 4))


def test_metropolis_weights_are_refused_on_one_way_links() -> None:
    for topology in ("directed-ring", "epidemic-local:s=2"):
        with pytest.raises(TopologyError, match="weights='metropolis' need symmetric ones"):
            check_direction(Options(), t.schedule(topology, 4))
        check_direction(Options(weights="uniform"), t.schedule(topology, 4))
