import networkx as nx
import numpy as np
import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.topology.neighborhood import Neighbor, neighborhood


def test_entries_carry_degrees_samples_and_matrix_weights():
    graph = nx.Graph([(2, 1), (1, 0), (2, 3)])
    matrix = np.array([[1, 0, 0, 0], [0.2, 0.3, 0.5, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    own, others = neighborhood(graph, 1, {0: 10, 1: 11, 2: 12}, matrix)
    assert own == Neighbor(id=1, degree=2, samples=11, weight=0.3)
    assert others == (
        Neighbor(id=0, degree=1, samples=10, weight=0.2),
        Neighbor(id=2, degree=2, samples=12, weight=0.5),
    )


def test_samples_and_weights_are_optional_and_a_device_may_be_alone():
    assert neighborhood(nx.empty_graph(3), 2) == (Neighbor(2, 0), ())


def test_unknown_device():
    with pytest.raises(ConfigError, match=r"device=5: must be a node of the graph of 3 devices"):
        neighborhood(nx.path_graph(3), 5)


def test_samples_of_a_neighbor_are_missing():
    with pytest.raises(ConfigError, match=r"samples=\[0, 1\]: has no entry for device 2"):
        neighborhood(nx.path_graph(3), 1, {0: 1, 1: 1})
