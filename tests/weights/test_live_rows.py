"""Weights on the links that are up in a step: by hand, and what they promise."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pl_flower import Options
from p2pl_flower.errors import WeightsError
from p2pl_flower.swarm.edges import Edges, edge_weights
from p2pl_flower.topology.neighborhood import neighborhood
from p2pl_flower.weights import (
    DataSize,
    FunctionRule,
    Metropolis,
    Uniform,
    WeightRule,
    live_row,
    own_weight,
)

STAR = nx.star_graph(3)  # 0 is linked to 1, 2 and 3
SAMPLES = {0: 10, 1: 30, 2: 60, 3: 100}
HEARD = {0: [1, 2], 1: [0], 2: [0], 3: []}  # the link to 3 is down


def row(rule, device, heard=HEARD):
    return live_row(rule, *neighborhood(STAR, device, SAMPLES), heard)


def test_by_hand() -> None:
    assert row(Metropolis(), 0) == pytest.approx({1: 1 / 3, 2: 1 / 3})  # 1/4 if all were up
    assert row(Metropolis(), 1) == pytest.approx({0: 1 / 3})
    assert row(Metropolis(), 3) == {}
    assert row(Uniform(), 0) == pytest.approx({1: 1 / 3, 2: 1 / 3})
    assert row(Uniform(), 1) == {0: 0.5}
    assert row(DataSize(), 0) == pytest.approx({1: 0.3, 2: 0.6})
    first = FunctionRule(lambda own, neighbors: {min(j.id for j in neighbors): own.degree / 8})
    assert row(first, 0) == {1: 0.25, 2: 0.0}
    assert row(first, 3) == {}  # a rule is not asked about nobody


def test_what_is_lost_one_way_is_left_out_by_symmetric_weights_alone() -> None:
    heard = {0: [1, 2], 1: [0], 2: []}  # 2 does not hear 0
    assert row(Metropolis(), 0, heard) == pytest.approx({1: 1 / 3})
    assert row(Metropolis(), 1, heard) == pytest.approx({0: 1 / 3})
    assert row(Metropolis(), 2, heard) == {}
    assert row(Uniform(), 0, heard) == pytest.approx({1: 1 / 3, 2: 1 / 3})


def test_a_neighbor_that_has_not_said_whom_it_hears() -> None:
    heard = {0: [1, 2], 1: [0]}
    assert row(Metropolis(), 0, heard) == pytest.approx({1: 1 / 3})
    assert row(Uniform(), 0, heard) == pytest.approx({1: 1 / 3, 2: 1 / 3})
    assert row(Uniform(), 0, {}) == {}


@dataclass(frozen=True)
class ByAudience(WeightRule):
    """A rule of a user's own, by how many hear a neighbor."""

    name = "by-audience"

    def row(self, own, neighbors):
        assert all(j.out_degree is None for j in (own, *neighbors)), "these links are both ways"
        return {j.id: 1 / (1 + j.heard_by) / (1 + len(neighbors)) for j in neighbors}


@pytest.mark.parametrize("rule", [Metropolis(), Uniform(), DataSize(), ByAudience()])
@given(seed=st.integers(0, 2**32), up=st.floats(0, 1))
def test_any_losses(rule, seed, up) -> None:
    """Rows sum to 1, symmetric rules stay doubly stochastic, and the swarm has the same weights."""
    rng, count = np.random.default_rng(seed), 7
    graph = nx.fast_gnp_random_graph(count, 0.6, seed=seed)
    samples = dict(enumerate(range(1, count + 1)))
    edges = Edges.of(graph)
    got = rng.random(len(edges.to)) < up  # one way or both
    heard = {k: edges.source[got & (edges.to == k)].tolist() for k in range(count)}
    matrix = np.zeros((count, count))
    for k in range(count):
        weights = live_row(rule, *neighborhood(graph, k, samples), heard)
        assert set(weights) <= set(heard[k])
        matrix[k, list(weights)] = list(weights.values())
        matrix[k, k] = own_weight(weights)
    assert (matrix >= -1e-12).all()
    if rule.symmetric:
        assert np.allclose(matrix, matrix.T)
        assert np.allclose(matrix.sum(axis=0), 1)
    live = edges.live(got, rule.symmetric)
    swarm = np.zeros((count, count))
    swarm[live.to, live.source] = edge_weights(rule, live, np.arange(1, count + 1), None)
    assert np.allclose(swarm, matrix - np.diag(np.diag(matrix)))


def test_a_matrix_is_refused() -> None:
    with pytest.raises(WeightsError, match="on_missing='reweight': needs weights that follow from"):
        Options(weights=np.eye(3), on_missing="reweight")
