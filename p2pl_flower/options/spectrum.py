"""Graphs on which an algorithm would diverge are refused, where all of the graph is known."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..algorithms import ALGORITHMS
from ..config import described_text
from ..errors import TopologyError
from ..weights import WeightRule, mixing_edges, needs_samples
from .algorithm import Options

_ITERATIONS = 300
_TOLERANCE = 1e-3


def check_spectrum(options: Options, graph: nx.Graph | None) -> None:
    """Refuse a static graph whose mixing matrix has too negative an eigenvalue.

    Parameters
    ----------
    options : Options
        The algorithm that says what it stands, the weights, the consensus steps and gamma.
    graph : networkx.Graph or None
        The links; None where they change from round to round, of which nothing is asked.

    Raises
    ------
    TopologyError
        Names the eigenvalue, the bound and what to do.
    """
    bound, steps = options.algorithm.least_eigenvalue, options.consensus_steps
    if bound <= -1 or steps % 2 == 0 or graph is None or needs_samples(options.weights):
        return
    gamma = options.consensus_gamma * options.algorithm.mixing_step
    least = least_eigenvalue(graph, options.weights, options.matrix)
    of_round = (1 - gamma * (1 - least)) ** steps
    if of_round < bound - _TOLERANCE:
        algorithm = described_text(options.algorithm, ALGORITHMS)
        rule = (
            f"algorithm={algorithm!r} diverges here: the least eigenvalue of a round's mixing is "
        )
        rule += (
            f"{of_round:.3f}, and may not be below {bound:.3f}; take an even number of consensus "
        )
        rule += f"steps, or consensus_gamma={_stable_gamma(options, bound, least):.2f}"
        raise TopologyError("topology", str(graph), rule)


def _stable_gamma(options: Options, bound: float, least: float) -> float:
    """Return a consensus step size at which one step is stable, hence an odd number of them."""
    return 0.95 * (1 - bound) / (1 - least) / options.algorithm.mixing_step


def least_eigenvalue(
    graph: nx.Graph, rule: WeightRule, matrix: NDArray[np.float64] | None = None
) -> float:
    """Return the least eigenvalue of a symmetric mixing matrix A, or slightly more.

    By power iteration on I - A, whose eigenvalues are 0 to 2, over the links alone.
    """
    rows, columns, values = mixing_edges(graph, rule, matrix)
    vector: NDArray[Any] = np.random.default_rng(0).normal(size=len(graph))
    top = 0.0
    for _ in range(_ITERATIONS):
        vector /= np.linalg.norm(vector)
        # row k of (I - A) x is sum_j a_kj (x_k - x_j)
        image: NDArray[Any] = np.bincount(
            rows, values * (vector[rows] - vector[columns]), len(graph)
        )
        top, vector = float(vector @ image), image
        if not top:
            break
    return 1 - top
