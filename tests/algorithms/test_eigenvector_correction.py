"""Row-stochastic weights with their eigenvector divided out: by hand, and on a quadratic."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from stacked import DEVICES, Quadratic, rounds

from p2pl_flower import topology
from p2pl_flower.algorithms import ALGORITHMS
from p2pl_flower.algorithms.eigenvector_correction import SHARES, EigenvectorCorrection
from p2pl_flower.weights import Uniform, mixing_matrix, stationary_distribution

GRAPH = nx.DiGraph(topology.ring(DEVICES))
GRAPH.add_edges_from((0, k) for k in range(2, DEVICES - 1))  # all hear device 0
ROWS = mixing_matrix(GRAPH, Uniform())
PROBLEM = Quadratic()


def distance(name: str, rate: float, steps: int = 1) -> float:
    """Return the worst device's distance to the optimum once it has settled."""
    made = rounds(ALGORITHMS.make(name), ROWS, PROBLEM.train(1, rate), np.zeros((8, 2)), steps)
    models = next(model for number, (_, model) in enumerate(made, 1) if number * rate >= 40)
    return float(np.linalg.norm(models - PROBLEM.optimum, axis=1).max())


def test_by_hand() -> None:
    """A = [[.5, .5], [.25, .75]], of eigenvector (1/3, 2/3): factors 1/2 at first, then 1, 2/3."""
    rows, algorithm = np.array([[0.5, 0.5], [0.25, 0.75]]), EigenvectorCorrection()
    model = {"w": np.array([0.0, 8.0])}
    state = algorithm.start_at(model, (2,), np.eye(2, dtype=np.float32))
    seen = []
    for _ in range(2):
        begun, _, state = algorithm.before_training(model, state)
        sent, state = algorithm.after_training({"w": begun["w"] + 2}, state)
        mixed = {name: rows @ array for name, array in sent.items()}
        model, state = algorithm.after_mixing(sent, mixed, state, 1.0)
        seen.append((sent["w"].tolist(), model["w"].tolist()))
    assert seen[0] == ([1, 9], [5, 7])
    # y_00 = 1/2, y_11 = 3/4: factors 1 and 2/3
    assert seen[1][0] == pytest.approx([5 + 2, 7 + 4 / 3])
    for _ in range(40):
        state = algorithm.after_mixing(
            {}, {SHARES: rows @ state["shares"][SHARES]}, state, 1.0
        ).state
    assert np.diag(state["shares"][SHARES]) == pytest.approx([1 / 3, 2 / 3])


def test_the_factor_is_bounded() -> None:
    algorithm, model = EigenvectorCorrection(most=3.0), {"w": np.zeros(2)}
    state = algorithm.start_at(model, (), np.array([1, 0, 0, 0], np.float32))
    state = {**state, "shares": {SHARES: np.array([0.01, 0.5, 0.49, 0], np.float32)}}
    _, _, state = algorithm.before_training(model, state)
    sent, _ = algorithm.after_training({"w": np.ones(2)}, state)
    assert sent["w"] == pytest.approx([3, 3])


@pytest.mark.parametrize("steps", [1, 3])
def test_the_optimum_is_reached_as_the_rate_falls_where_plain_mixing_stays_off(steps) -> None:
    weights = stationary_distribution(ROWS)
    assert weights.max() > 3 * weights.min()
    far, near = (distance("eigenvector-correction", rate, steps) for rate in (0.04, 0.01))
    assert near < 0.3 * far
    assert near < 0.1
    assert distance("p2pl", 0.01, steps) > 0.3
