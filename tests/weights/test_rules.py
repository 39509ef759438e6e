import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pl_flower.errors import ConfigError, WeightsError
from p2pl_flower.links import Bernoulli
from p2pl_flower.topology.neighborhood import Neighbor, neighborhood
from p2pl_flower.weights import (
    MISSING_POLICIES,
    WEIGHTS,
    Custom,
    DataSize,
    Metropolis,
    Uniform,
    check_matrix,
    keep_answered,
    mixing_matrix,
    own_weight,
)

RULES = [
    ("metropolis", Metropolis()),
    ("uniform", Uniform()),
    ("data-size", DataSize()),
    ("custom", Custom()),
]
every = pytest.mark.parametrize(("name", "rule"), RULES)


@st.composite
def situations(draw):
    """A graph of any kind, samples, a matrix of a user's on it, and who hears whom."""
    n = draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    linked = np.triu(rng.random((n, n)) < draw(st.floats(0, 1)), k=1)
    graph = nx.from_numpy_array(linked | linked.T)
    samples = dict(enumerate(rng.integers(0, 50, n).tolist()))
    samples = {k: count + 1 for k, count in samples.items()}
    matrix = (linked | linked.T | np.eye(n, dtype=bool)) * rng.random((n, n))
    matrix /= matrix.sum(axis=1, keepdims=True)
    return graph, samples, matrix, rng.random((n, n)) < draw(st.floats(0, 1))


def rows(rule, graph, samples, matrix):
    return [rule.row(*neighborhood(graph, k, samples, matrix)) for k in range(len(graph))]


@every
@settings(max_examples=30, deadline=None)
@given(situation=situations())
def test_contract(name, rule, situation):
    graph, samples, matrix, heard = situation
    mixing = mixing_matrix(graph, rule, samples, matrix)
    assert np.array_equal(check_matrix(mixing, graph), mixing)
    for k, row in enumerate(rows(rule, graph, samples, matrix)):
        assert list(row) == sorted(graph[k])
        assert own_weight(row) >= -1e-12
        assert np.allclose(mixing[k, list(row)], list(row.values()))
        for policy in MISSING_POLICIES:
            kept = keep_answered(row, np.flatnonzero(heard[k]), policy)
            assert set(kept) == {j for j in row if heard[k, j]}
            assert all(weight >= 0 for weight in kept.values())
            assert sum(kept.values()) <= 1 + 1e-12
            assert own_weight(kept) + sum(kept.values()) == pytest.approx(1, abs=1e-12)


@every
def test_order_of_the_neighbors_does_not_matter(name, rule):
    matrix = np.full((5, 5), 0.2)
    own, others = neighborhood(nx.star_graph(4), 0, dict.fromkeys(range(5), 3), matrix)
    assert list(rule.row(own, others[::-1]).items()) == list(rule.row(own, others).items())
    assert rule.row(own, ()) == {}


def test_names():
    assert set(WEIGHTS.entries) == {name for name, _ in RULES} - {"custom"} | {"out-degree"}
    for name, rule in RULES:
        assert name == "custom" or WEIGHTS.make(name) == rule
    with pytest.raises(ConfigError, match="weights='best': unknown name"):
        WEIGHTS.make("best")


PATH = nx.path_graph(3)


def test_metropolis_by_hand():
    third = 1 / 3
    expected = [[2 * third, third, 0], [third, third, third], [0, third, 2 * third]]
    assert np.allclose(mixing_matrix(PATH, Metropolis()), expected)


def test_uniform_by_hand():
    third = 1 / 3
    expected = [[0.5, 0.5, 0], [third, third, third], [0, 0.5, 0.5]]
    assert np.allclose(mixing_matrix(PATH, Uniform()), expected)


def test_data_size_by_hand():
    expected = [[0.25, 0.75, 0], [0.1, 0.3, 0.6], [0, 1 / 3, 2 / 3]]
    assert np.allclose(mixing_matrix(PATH, DataSize(), {0: 10, 1: 30, 2: 60}), expected)


def test_custom_is_the_matrix():
    matrix = np.array([[0.9, 0.1, 0], [0.2, 0.3, 0.5], [0, 0.0, 1.0]])
    assert np.allclose(mixing_matrix(PATH, Custom(), matrix=matrix), matrix)


def test_custom_forgives_rounding():
    own, other = Neighbor(0, 1), Neighbor(1, 1, weight=1 + 5e-7)
    assert Custom().row(own, [other]) == {1: 1.0}


@settings(max_examples=40, deadline=None)
@given(situation=situations(), seed=st.integers(0, 2**63))
def test_metropolis_is_doubly_stochastic_also_under_symmetric_losses(situation, seed):
    graph = situation[0]
    n = len(graph)
    whole = mixing_matrix(graph, Metropolis())
    assert np.allclose(whole, whole.T)
    links = Bernoulli(0.5, seed)
    lossy = np.zeros((n, n))
    for k, row in enumerate(rows(Metropolis(), graph, None, None)):
        kept = keep_answered(row, [j for j in row if links.up(k, j, 1, 0)], "self")
        lossy[k, list(kept)] = list(kept.values())
        lossy[k, k] = own_weight(kept)
    assert (lossy >= -1e-12).all()
    assert np.allclose(lossy, lossy.T)
    assert np.allclose(lossy.sum(axis=0), 1)


def test_keep_answered_by_hand():
    row = {1: 0.2, 2: 0.3, 3: 0.4}
    assert keep_answered(row, [3, 2], "self") == {2: 0.3, 3: 0.4}
    shared = keep_answered(row, iter([1, 3]), "neighbors")
    assert shared == pytest.approx({1: 0.3, 3: 0.6})  # 0.9 in the ratio 1 : 2
    assert own_weight(shared) == pytest.approx(0.1)
    for policy in MISSING_POLICIES:
        assert keep_answered(row, {1, 2, 3, 9}, policy) == row
        assert keep_answered(row, [], policy) == {}
        assert keep_answered({1: 0.0, 2: 0.5}, [1], policy) == {1: 0.0}
    assert own_weight({}) == 1.0


def test_keep_answered_refuses_other_policies():
    with pytest.raises(ConfigError, match=r"on_missing='drop': .*choose one of: self, neighbors"):
        keep_answered({1: 0.5}, [1], "drop")


@pytest.mark.parametrize(
    ("rule", "samples", "message"),
    [
        (DataSize(), {0: 0, 1: 0, 2: 0}, "weights='data-size': device 0 .*no samples"),
        (DataSize(), None, "give sample counts"),
        (Custom(), None, r"weights='custom': device 0 needs a non-negative matrix weight"),
    ],
)
def test_rules_refuse_what_they_cannot_weigh(rule, samples, message):
    with pytest.raises(WeightsError, match=message):
        mixing_matrix(PATH, rule, samples)


@pytest.mark.parametrize("weights", [(-0.1, 0.5), (0.7, 0.7)])
def test_custom_refuses_weights_that_are_no_shares(weights):
    neighbors = [Neighbor(j, 1, weight=weight) for j, weight in enumerate(weights, start=1)]
    with pytest.raises(WeightsError, match="sum <= 1"):
        Custom().row(Neighbor(0, 2), neighbors)
