from collections import Counter
from functools import partial

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pl_flower import topology as t
from p2pl_flower.errors import ConfigError, TopologyError

FAMILIES = [
    ("complete", t.complete, {}),
    ("ring", t.ring, {}),
    ("star", t.star, {}),
    ("path", t.path, {}),
    ("torus", t.torus, {}),
    ("torus", t.torus, {"rows": 2}),
    ("regular", t.regular, {"d": 2}),
    ("regular", t.regular, {"d": 9}),
    ("erdos-renyi", t.erdos_renyi, {"p": 0.3}),
    ("small-world", t.small_world, {"k": 4, "p": 0.5}),
    ("scale-free", t.scale_free, {"m": 2}),
    ("random-geometric", t.random_geometric, {"radius": 0.5}),
    ("exponential", t.exponential, {}),
    ("exponential", t.exponential, {"directed": True}),
    ("directed-ring", t.directed_ring, {}),
    ("random-out", t.random_out, {"s": 3}),
]
RANDOM = {"regular", "erdos-renyi", "small-world", "scale-free", "random-geometric", "random-out"}
ONE_WAY = {"directed-ring", "random-out"}


@pytest.mark.parametrize(("name", "family", "options"), FAMILIES)
def test_contract(name, family, options):
    graph = family(12, **options, seed=1)
    one_way = name in ONE_WAY or options.get("directed", False)
    assert type(graph) is (nx.DiGraph if one_way else nx.Graph)
    assert list(graph) == list(range(12))
    assert (nx.is_strongly_connected if one_way else nx.is_connected)(graph)
    assert nx.number_of_selfloops(graph) == 0
    assert nx.utils.graphs_equal(graph, family(12, **options, seed=1))
    edges = {frozenset(map(frozenset, family(12, **options, seed=s).edges)) for s in range(8)}
    assert (len(edges) > 1) == (name in RANDOM)
    text = ",".join(f"{key}={value}" for key, value in options.items())
    made = t.schedule(f"{name}:{text}", 12, seed=1)
    assert isinstance(made, t.Static)
    assert nx.utils.edges_equal(made.graph(1).edges, graph.edges)


def test_every_name_of_the_table_is_tested():
    schedules = {"one-peer-exponential", "random-matchings", "random-waypoint"}
    schedules |= {"random-regular", "epidemic-local", "epidemic-oracle"}
    assert set(t.TOPOLOGIES.entries) == {name for name, _, _ in FAMILIES} | schedules


@pytest.mark.parametrize(
    "family",
    [
        *(t.complete, t.ring, t.star, t.path, t.exponential),
        partial(t.erdos_renyi, p=0.5),
        partial(t.random_geometric, radius=0.1),
    ],
)
def test_one_device_is_a_single_node(family):
    graph = family(1)
    assert list(graph) == [0]
    assert graph.number_of_edges() == 0
    with pytest.raises(TopologyError, match="n=0: must be at least 1"):
        family(0)


def edges(graph):
    return {tuple(sorted(edge)) for edge in graph.edges}


def test_classic_graphs_by_hand():
    assert edges(t.complete(3)) == {(0, 1), (0, 2), (1, 2)}
    assert edges(t.ring(4)) == {(0, 1), (1, 2), (2, 3), (0, 3)}
    assert edges(t.ring(2)) == {(0, 1)}
    assert edges(t.star(4)) == {(0, 1), (0, 2), (0, 3)}
    assert edges(t.path(4)) == {(0, 1), (1, 2), (2, 3)}


def test_torus_by_hand():
    grid = t.torus(12)
    assert sorted(grid[0]) == [1, 3, 4, 8]  # 3 rows of 4
    assert {degree for _, degree in grid.degree} == {4}
    assert sorted(t.torus(12, rows=4)[0]) == [1, 2, 3, 9]  # 4 rows of 3
    assert {degree for _, degree in t.torus(10).degree} == {3}  # a side of 2


def test_exponential_by_hand():
    assert sorted(t.exponential(10)[0]) == [1, 2, 4, 6, 8, 9]  # hops 1, 2, 4 and 8 = -2
    assert edges(t.exponential(2)) == {(0, 1)}


@pytest.mark.parametrize("d", [2, 3, 14, 17, 18, 19])
def test_regular_graphs_have_their_degree_dense_ones_too(d):
    assert {degree for _, degree in t.regular(20, d).degree} == {d}


def test_scale_free_has_m_links_for_each_device_that_joined():
    assert t.scale_free(20, 3).number_of_edges() == 3 + 16 * 3


def test_small_world_without_rewiring_is_the_lattice():
    assert edges(t.small_world(8, 2, 0.0)) == edges(t.ring(8))


def test_random_geometric_links_all_that_are_near_and_no_others():
    graph = t.random_geometric(20, 0.4)
    places = np.array([graph.nodes[i]["pos"] for i in range(20)])
    assert ((places >= 0) & (places < 1)).all()
    for i in range(20):
        for j in range(i):
            near = np.hypot(*(places[i] - places[j])) <= 0.4
            assert graph.has_edge(i, j) == near


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 30), p=st.floats(0.3, 1), seed=st.integers(0, 2**63))
def test_erdos_renyi_is_connected_and_reproducible(n, p, seed):
    try:
        graph = t.erdos_renyi(n, p, seed)
    except TopologyError:
        assert n * p < 3
    else:
        assert nx.is_connected(graph)
        assert edges(graph) == edges(t.erdos_renyi(n, p, seed))


def test_erdos_renyi_share_of_links():
    links = sum(t.erdos_renyi(100, 0.1, seed).number_of_edges() for seed in range(10))
    assert links / (10 * 4950) == pytest.approx(0.1, abs=0.006)  # 4 standard deviations


def test_redrawing_is_not_biased_between_isomorphic_graphs():
    counts = Counter(frozenset(edges(t.erdos_renyi(3, 0.4, seed))) for seed in range(300))
    paths = [count for shape, count in counts.items() if len(shape) == 2]
    assert len(paths) == 3
    assert max(paths) - min(paths) < 45


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: t.torus(7), r"n=7: .*rows \* columns.*prime; use n=6 or n=8"),
        (lambda: t.torus(3), "n=3: must be at least 4"),
        (lambda: t.torus(12, rows=5), r"rows=5: must divide n=12 .*possible: 2, 3, 4, 6"),
        (lambda: t.torus(12, rows=12), r"rows=12: must divide n=12 "),
        (lambda: t.regular(5, 3), r"d=3: n \* d must be even, and n=5 is odd; use d=2"),
        (lambda: t.regular(5, 5), "d=5: must be less than n=5"),
        (lambda: t.regular(6, 1), "d=1: links n=6 devices in pairs only"),
        (lambda: t.erdos_renyi(5, 0.0), r"p=0.0: must be in \(0, 1\]"),
        (lambda: t.erdos_renyi(5, float("nan")), r"p=nan: must be a number in \(0, 1\]"),
        (lambda: t.erdos_renyi(5, 1e-9), r"components of 1, 1, 1, 1, 1 .*ln\(n\)/n = 0.322"),
        (lambda: t.small_world(9, 3, 0.1), "k=3: must be even"),
        (lambda: t.small_world(9, 4, 1.1), r"p=1.1: must be in \[0, 1\]"),
        (lambda: t.scale_free(5, 5), "m=5: must be less than n=5"),
        (lambda: t.random_geometric(5, 0), r"radius=0: must be in \(0, inf\]"),
        (lambda: t.random_geometric(9, 1e-9), r"1, \.\.\. \(9 in all\).*larger radius"),
        (lambda: t.schedule("torus", 7), r"^topology='torus': n=7: "),
        (lambda: t.schedule("erdos-renyi:p=2", 7), r"^topology='erdos-renyi:p=2': p=2.0: "),
        (lambda: t.schedule(nx.path_graph(3), 4), "has 3 devices where n=4 are needed"),
        (lambda: t.schedule(t.RandomMatchings(3), 4), "has 3 devices where n=4 are needed"),
        (lambda: t.schedule(7, 4), "topology=7: must be a name, a networkx.Graph, .*torus"),
        (lambda: t.schedule(lambda n: "no", 4), "a function that returns those"),
        (lambda: t.diameter(nx.empty_graph(2)), "connected .*components of 1, 1 devices"),
        (lambda: t.diameter(nx.Graph()), "must be connected to have a diameter"),
    ],
)
def test_refusals_say_what_is_wrong(call, message):
    with pytest.raises(TopologyError, match=message):
        call()


@pytest.mark.parametrize("text", ["hexagon", "erdos-renyi", "erdos-renyi:seed=3", "ring:n=3"])
def test_text_that_the_table_refuses(text):
    with pytest.raises(ConfigError, match=f"^topology='{text}'"):
        t.schedule(text, 5)


def test_schedule_takes_what_users_have():
    own = t.RandomMatchings(5, seed=9)
    assert t.schedule(own, 5, seed=1) is own
    assert t.schedule(t.RandomMatchings, 5, seed=9) == own
    assert edges(t.schedule(nx.path_graph(5), 5).graph(7)) == edges(t.path(5))
    assert edges(t.schedule(nx.cycle_graph, 5).graph(1)) == edges(t.ring(5))
    dense = t.schedule(partial(t.erdos_renyi, p=0.7), 5, seed=4)
    assert edges(dense.graph(1)) == edges(t.erdos_renyi(5, 0.7, seed=4))


@pytest.mark.parametrize(
    ("graph", "links"),
    [(t.path(6), 5), (t.ring(7), 3), (t.star(5), 2), (t.complete(4), 1), (t.complete(1), 0)],
)
def test_diameter(graph, links):
    assert t.diameter(graph) == links
