import pickle
from collections import Counter

import networkx as nx
import numpy as np
import pytest

from p2pl_flower import topology as t
from p2pl_flower.errors import TopologyError

SCHEDULES = [
    ("static", t.Static(t.ring(9))),
    ("one-peer-exponential", t.OnePeerExponential(9)),
    ("one-peer-exponential", t.OnePeerExponential(9, directed=True)),
    ("random-matchings", t.RandomMatchings(9, seed=2)),
    ("random-regular", t.RandomRegular(10, 3, seed=2)),
    ("epidemic-local", t.EpidemicLocal(9, 2, seed=2)),
    ("random-waypoint", t.RandomWaypoint(9, radius=0.4, speed=0.2, pause=1.5, seed=2)),
]


@pytest.mark.parametrize(("name", "schedule"), SCHEDULES)
def test_contract(name, schedule):
    assert schedule.n in (9, 10)
    assert schedule.static == (name == "static")
    first = [schedule.graph(r) for r in range(1, 12)]
    again = [pickle.loads(pickle.dumps(schedule)).graph(r) for r in reversed(range(1, 12))]
    for graph, same in zip(first, reversed(again), strict=True):
        assert list(graph) == list(range(schedule.n))
        assert graph.is_directed() == schedule.directed
        assert nx.number_of_selfloops(graph) == 0
        assert nx.utils.graphs_equal(graph, same)
        with pytest.raises(nx.NetworkXError, match=r"[Ff]rozen"):
            graph.add_edge(0, 5)
    assert (len({frozenset(graph.edges) for graph in first}) == 1) == schedule.static
    with pytest.raises(TopologyError, match="round_number=0: must be at least 1"):
        schedule.graph(0)


@pytest.mark.parametrize("name", ["one-peer-exponential", "random-matchings"])
def test_schedules_by_name_get_n_and_seed(name):
    made = t.schedule(name, 5, seed=8)
    assert (made.n, made.seed) == (5, 8)


def test_waypoint_by_name():
    made = t.schedule("random-waypoint:radius=0.3,speed=0.1", 5, seed=8)
    assert made == t.RandomWaypoint(5, 0.3, 0.1, 0.0, 8)


def test_static_copies_and_orders_its_graph():
    graph = nx.Graph([(2, 1), (1, 0)])
    graph.nodes[1]["pos"] = (0.5, 0.5)
    static = t.Static(graph)
    graph.add_edge(0, 2)
    assert list(static.graph(1)) == [0, 1, 2]
    assert not static.graph(1).has_edge(0, 2)
    assert static.graph(1).nodes[1]["pos"] == (0.5, 0.5)
    assert list(map(type, t.Static(nx.Graph([(np.int64(0), np.int64(1))])).graph(1))) == [int, int]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (nx.Graph([(0, 1), (2, 3), (3, 4)]), "connected, but has components of 3, 2 devices"),
        (nx.DiGraph([(0, 1)]), "strongly connected, but has components of 1, 1 devices"),
        (nx.MultiGraph([(0, 1)]), "one link between two devices"),
        (nx.Graph([(1, 2)]), "must have the nodes 0, ..., n - 1"),
        (nx.Graph([("a", "b")]), "convert_node_labels_to_integers"),
        (nx.Graph(), "must have the nodes 0, ..., n - 1"),
        (nx.Graph([(0, 1), (1, 1)]), r"no self-loops, but has at \[1\]"),
    ],
)
def test_static_refuses(graph, message):
    with pytest.raises(TopologyError, match=message):
        t.Static(graph)


def test_one_peer_exponential_by_hand():
    schedule = t.OnePeerExponential(5)  # hops 1, 2, 4, 1, ...
    assert [sorted(schedule.graph(r)[0]) for r in (1, 2, 3, 4)] == [[1, 4], [2, 3], [1, 4], [1, 4]]
    assert t.OnePeerExponential(8).graph(3).number_of_edges() == 4  # hop 4 pairs 8 devices
    assert t.OnePeerExponential(1).graph(1).number_of_edges() == 0


@pytest.mark.parametrize("n", [2, 3, 7, 8, 12])
def test_one_peer_exponential_covers_the_static_exponential_graph(n):
    schedule = t.OnePeerExponential(n)
    rounds = range(1, int(np.ceil(np.log2(n))) + 1)
    union = nx.compose_all([schedule.graph(r) for r in rounds])
    assert nx.utils.edges_equal(union.edges, t.exponential(n).edges)


@pytest.mark.parametrize(("name", "schedule"), SCHEDULES)
def test_one_step_a_round_goes_over_the_graph_of_the_round(name, schedule):
    for r in (1, 2, 9):
        assert nx.utils.graphs_equal(schedule.links(r, 1, 1), schedule.graph(r))
        assert nx.utils.graphs_equal(schedule.of_round(r, 1), schedule.graph(r))
        assert nx.utils.graphs_equal(schedule.of_round(r, 0), schedule.graph(r))


def test_steps_have_graphs_of_their_own_where_the_schedule_says_so():
    hops = t.OnePeerExponential(16)  # 1, 2, 4, 8, 1, ...
    seen = [sorted(hops.links(r, s, 3)[0])[0] for r in (1, 2, 3) for s in (1, 2, 3)]
    assert seen == [1, 2, 4, 8, 1, 2, 4, 8, 1]
    assert [sorted(hops.of_round(2, 3)[0])] == [[1, 2, 8, 14, 15]]
    pairs = t.RandomMatchings(8, seed=1)
    assert pairs.links(3, 2, 5) is pairs.graph(12)
    kept = t.schedule("random-matchings:per-step=false", 8, seed=1)
    assert [kept.links(3, s, 5) for s in (1, 5)] == [pairs.graph(3)] * 2
    moving = t.RandomWaypoint(9, radius=0.4, speed=0.2)
    assert moving.links(3, 2, 5) is moving.graph(3)


def test_a_schedule_may_say_the_links_of_each_step_itself():
    class Turns(t.Schedule):
        n = 4

        def graph(self, round_number):
            return nx.path_graph(4)

        def links(self, round_number, step, steps):
            return nx.path_graph(4) if step % 2 else nx.star_graph(3)

    assert sorted(Turns().of_round(1, 2)[0]) == [1, 2, 3]
    assert sorted(Turns().of_round(1, 1)[0]) == [1]
    assert Turns().ever(3, 2).number_of_edges() == 5


def test_all_links_ever():
    assert sorted(t.OnePeerExponential(16).ever(1, 3)[0]) == [1, 2, 4, 12, 14, 15]
    assert sorted(t.OnePeerExponential(16, per_step=False).ever(1, 3)[0]) == [1, 15]
    assert t.RandomMatchings(6).ever(100, 5).number_of_edges() == 15
    assert nx.utils.graphs_equal(t.Static(t.ring(5)).ever(9, 9), t.ring(5))


@pytest.mark.parametrize("n", [1, 2, 6, 7])
def test_matchings_are_perfect_or_nearly_so(n):
    for r in range(1, 6):
        degrees = [degree for _, degree in t.RandomMatchings(n).graph(r).degree]
        assert sorted(degrees) == [0] * (n % 2) + [1] * (n - n % 2)


def test_matchings_are_uniform():
    schedule = t.RandomMatchings(4, seed=1)
    counts = Counter(frozenset(map(frozenset, schedule.graph(r).edges)) for r in range(1, 601))
    assert len(counts) == 3  # a perfect matching of 4 devices can be 3 things
    assert all(150 < count < 250 for count in counts.values())


def test_waypoint_links_who_is_in_range():
    schedule = t.RandomWaypoint(15, radius=0.3, speed=0.1, seed=3)
    for r in (1, 7, 50):
        graph, places = schedule.graph(r), schedule.positions(r)
        assert [graph.nodes[i]["pos"] for i in range(15)] == list(map(tuple, places))
        for i in range(15):
            for j in range(i):
                assert graph.has_edge(i, j) == (np.hypot(*(places[i] - places[j])) <= 0.3)


def test_waypoint_moves_at_its_speed_inside_the_square():
    schedule = t.RandomWaypoint(20, radius=0.3, speed=0.05, seed=3)
    track = np.array([schedule.positions(r) for r in range(1, 80)])
    steps = np.linalg.norm(np.diff(track, axis=0), axis=2)
    assert ((track >= 0) & (track < 1)).all()
    assert steps.max() <= 0.05 + 1e-12
    assert np.mean(np.isclose(steps, 0.05)) > 0.8  # all but the turns


def test_waypoint_walks_straight_to_its_place_and_rests_there():
    schedule = t.RandomWaypoint(4, radius=0.3, speed=0.1, pause=3, seed=5)
    places = schedule._places(2)
    distance = np.linalg.norm(places[:, 1] - places[:, 0], axis=1)
    for i in range(4):
        arrival = int(np.ceil(distance[i] / 0.1))  # rounds after round 1
        assert np.allclose(schedule.positions(1)[i], places[i, 0])
        assert np.allclose(schedule.positions(1 + arrival)[i], places[i, 1])
        assert np.allclose(schedule.positions(3 + arrival)[i], places[i, 1])
        halfway = places[i, 0] + (places[i, 1] - places[i, 0]) * 0.1 / distance[i]
        assert np.allclose(schedule.positions(2)[i], halfway)
        assert not np.allclose(schedule.positions(5 + arrival)[i], places[i, 1])


def test_waypoint_is_the_same_far_out_however_it_is_asked():
    schedule = t.RandomWaypoint(3, radius=0.3, speed=1.0, seed=5)
    late = schedule.positions(500)
    assert np.array_equal(late, t.RandomWaypoint(3, 0.3, 1.0, 0.0, 5).positions(500))
    assert np.linalg.norm(schedule.positions(501) - late, axis=1).max() <= 1.0 + 1e-9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.1, 0.1), "n=0: must be at least 1"),
        ((3, 0.0, 0.1), r"radius=0.0: must be in \(0, inf\]"),
        ((3, 0.1, 0.0), r"speed=0.0: must be in \(0, 1\]"),
        ((3, 0.1, 0.1, -1), r"pause=-1: must be in \[0, inf\)"),
    ],
)
def test_waypoint_refuses(arguments, message):
    with pytest.raises(TopologyError, match=message):
        t.RandomWaypoint(*arguments)


@pytest.mark.parametrize(("per_step", "made"), [(False, [1, 2]), (True, [1, 2, 3, 4, 5, 6])])
def test_links_of_a_users_schedule_are_made_once_for_all_who_ask_in_turn(per_step, made):
    asked = []

    class Own(t.Schedule):
        n = 5

        def graph(self, round_number):
            asked.append(round_number)
            return nx.star_graph(4)

    schedule = Own()
    schedule.per_step = per_step
    for number in (1, 2):
        for step in (1, 1, 2, 3):
            schedule.links(number, step, 3)
    assert asked == made
