"""All rows at once against one row at a time."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
import pytest

from p2pl_flower.errors import WeightsError
from p2pl_flower.swarm.edges import Edges, edge_weights, keep_heard
from p2pl_flower.topology import schedule
from p2pl_flower.topology.neighborhood import neighborhood
from p2pl_flower.weights import Custom, DataSize, Metropolis, Uniform, keep_answered

TOPOLOGIES = ["complete", "ring", "star", "erdos-renyi:p=0.3", "scale-free:m=2", "random-matchings"]


@dataclass(frozen=True)
class Halves(Metropolis):
    """A rule of a user's own."""

    name = "halves"

    def row(self, own, neighbors):
        return {j.id: 0.5 / len(neighbors) for j in neighbors}


def user_matrix(graph: nx.Graph) -> np.ndarray:
    matrix = nx.to_numpy_array(graph, nodelist=range(len(graph))) + np.eye(len(graph))
    matrix *= np.random.default_rng(0).random(matrix.shape)
    return matrix / matrix.sum(1, keepdims=True)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("rule", [Metropolis(), Uniform(), DataSize(), Custom(), Halves()])
def test_every_edge_has_the_weight_of_its_row(topology, rule) -> None:
    graph = schedule(topology, 12, seed=1).graph(1)
    samples = np.arange(12) * 3 + 1
    matrix = user_matrix(graph)
    edges = Edges.of(graph)
    weights = edge_weights(rule, edges, samples, matrix)
    known = dict(enumerate(samples.tolist()))
    rows = {k: rule.row(*neighborhood(graph, k, known, matrix)) for k in range(12)}
    pairs = list(zip(edges.to.tolist(), edges.source.tolist(), strict=True))
    assert pairs == sorted((k, j) for k in range(12) for j in graph[k])
    assert weights == pytest.approx([rows[k][j] for k, j in pairs])


@pytest.mark.parametrize("policy", ["self", "neighbors"])
def test_losses_are_dealt_with_as_a_device_does(policy) -> None:
    graph = schedule("erdos-renyi:p=0.4", 10, seed=2).graph(1)
    edges = Edges.of(graph)
    weights = edge_weights(Uniform(), edges, np.ones(10, dtype=np.int64), None)
    heard = np.random.default_rng(1).random(len(weights)) < 0.5
    heard[edges.to == 3] = False
    kept = keep_heard(weights, heard, edges, policy)
    for k in range(10):
        own = edges.to == k
        row = dict(zip(edges.source[own].tolist(), weights[own].tolist(), strict=True))
        expected = keep_answered(row, edges.source[own & heard].tolist(), policy)
        found = dict(zip(edges.source[own & heard].tolist(), kept[own & heard], strict=True))
        assert found == pytest.approx(expected)
        assert not kept[own & ~heard].any()


def test_a_neighborhood_without_samples_is_refused() -> None:
    graph = nx.path_graph(3)
    with pytest.raises(WeightsError, match="device 0 and its neighbors have no samples"):
        edge_weights(DataSize(), Edges.of(graph), np.array([0, 0, 5]), None)


def test_a_graph_without_links() -> None:
    edges = Edges.of(nx.empty_graph(3))
    assert edges.to.shape == (0,)
    assert edges.degrees.tolist() == [0, 0, 0]
