"""All rows at once: the mixing matrix, for simulators, checks and theory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import WeightsError
from ..topology.neighborhood import neighborhood
from .rows import own_weight, row_of
from .rules import TOLERANCE, WeightRule

MATRIX_FILE = "file:"
"""How a text begins that names a file with a matrix."""


def mixing_matrix(
    graph: nx.Graph,
    rule: WeightRule,
    samples: Mapping[int, int] | None = None,
    matrix: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Return the matrix A, shape (n, n), whose row k is what device k works out alone.

    Parameters
    ----------
    graph : networkx.Graph
        Links between the devices 0, ..., n - 1.
    rule : WeightRule
        How each device weighs its neighbors.
    samples : Mapping[int, int] or None
        Training samples of each device, for `DataSize`.
    matrix : NDArray of shape (n, n), or None
        The user's own matrix, for `Custom`.

    Raises
    ------
    WeightsError
        The rule needs what was not given.
    """
    mixing = np.zeros((len(graph), len(graph)))
    for device in range(len(graph)):
        row = row_of(rule, *neighborhood(graph, device, samples, matrix))
        mixing[device, list(row)] = list(row.values())
        mixing[device, device] = own_weight(row)
    if rule.column_stochastic:
        np.fill_diagonal(mixing, 0.0)
        np.fill_diagonal(mixing, 1 - mixing.sum(axis=0))
    return mixing


def mixing_edges(
    graph: nx.Graph, rule: WeightRule, matrix: NDArray[np.floating] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the rows, columns and weights of the matrix A off its diagonal, link by link.

    Parameters and errors are those of `mixing_matrix`, whose memory grows with n squared.
    """
    entries = [
        (device, j, weight)
        for device in range(len(graph))
        for j, weight in row_of(rule, *neighborhood(graph, device, None, matrix)).items()
    ]
    places = np.array([entry[:2] for entry in entries], dtype=np.int64).reshape(-1, 2)
    return places[:, 0], places[:, 1], np.array([entry[2] for entry in entries])


def check_matrix(
    matrix: ArrayLike, graph: nx.Graph | None = None, n: int | None = None
) -> NDArray[np.float64]:
    """Return a user's mixing matrix as an array of float64, or refuse it.

    Parameters
    ----------
    matrix : ArrayLike
        Row k holds the weights that device k gives: non-negative, sum 1 to within 1e-6.
    graph : networkx.Graph or None
        Off the diagonal, weights may be on its links only; its nodes are 0, ..., n - 1.
    n : int or None
        Number of devices, where there is no graph to count them in.

    Raises
    ------
    WeightsError
        The matrix is not so; names the worst row and its sum, or the first bad entry.
    """
    try:
        checked = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        rule = f"must be a matrix of numbers ({error})"
        raise WeightsError("weights", type(matrix).__name__, rule) from None
    _check_shape(checked, n if graph is None else len(graph))
    _check_entries(checked, ~(checked >= 0) | np.isinf(checked), "must be non-negative and finite")
    _check_sums(checked)
    if graph is not None:
        linked = nx.to_numpy_array(graph, nodelist=range(len(graph)), weight=None).T > 0
        off = (checked != 0) & ~linked & ~np.eye(len(graph), dtype=np.bool_)
        _check_entries(checked, off, "must be 0, because the devices are not linked")
    return checked


def read_matrix(text: str) -> NDArray[np.float64]:
    """Return the matrix in the file of comma-separated rows that ``file:matrix.csv`` names.

    Raises
    ------
    WeightsError
        There is no such file, or no matrix in it that mixes; names ``text``.
    """
    try:
        path = Path(text.removeprefix(MATRIX_FILE))
        return check_matrix(np.loadtxt(path, delimiter=",", ndmin=2))
    except WeightsError as error:
        raise WeightsError("weights", text, error.rule) from None
    except (OSError, ValueError) as error:
        rule = f"must name a file of comma-separated rows of numbers ({error})"
        raise WeightsError("weights", text, rule) from None


def spectral_gap(matrix: NDArray[np.float64]) -> float:
    """Return 1 - |lambda_2|, lambda_2 the eigenvalue of second largest modulus.

    With A constant, disagreement shrinks by the factor |lambda_2| a step in the long
    run: 1 is consensus in one step, 0 is none at all (disconnected, say, or periodic).
    A single device has gap 1.
    """
    moduli = np.sort(np.abs(np.linalg.eigvals(matrix)))
    return float(np.clip(1 - moduli[-2], 0, 1)) if len(moduli) > 1 else 1.0


def stationary_distribution(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the left Perron vector pi of shape (n,): pi A = pi, sum 1, non-negative.

    pi_j is the weight of device j's start in what all agree on in the end: 1 / n each
    where A is doubly stochastic. A reducible A has one such vector as long as a single
    closed group of devices is heard, directly or not, by everybody; all others get 0.

    Raises
    ------
    WeightsError
        Several groups listen to none but themselves, so there is no consensus.
    """
    heard = nx.from_numpy_array(matrix > 0, create_using=nx.DiGraph)
    closed = [sorted(group) for group in nx.attracting_components(heard)]
    if len(closed) > 1:
        rule = f"has {len(closed)} groups that listen to none but themselves; link them"
        raise WeightsError("weights", _describe(matrix), rule)
    group = closed[0]
    equations = np.eye(len(group)) - matrix[np.ix_(group, group)].T
    equations[-1] = 1.0  # one equation follows from the others; the sum takes its place
    pi = np.zeros(len(matrix))
    pi[group] = np.maximum(np.linalg.solve(equations, np.eye(len(group))[-1]), 0.0)
    return np.asarray(pi / pi.sum())


def _check_shape(matrix: NDArray[np.float64], n: int | None) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        rule = "must be square, one row and column for each device"
        raise WeightsError("weights", _describe(matrix), rule)
    if n is not None and n != len(matrix):
        rule = f"must have one row and column for each of the n={n} devices"
        raise WeightsError("weights", _describe(matrix), rule)


def _check_entries(matrix: NDArray[np.float64], bad: NDArray[np.bool_], rule: str) -> None:
    if bad.any():
        k, j = (int(index) for index in np.argwhere(bad)[0])
        found = f"weight [{k}, {j}] is {matrix[k, j]:.6g} but {rule}"
        raise WeightsError("weights", _describe(matrix), found)


def _check_sums(matrix: NDArray[np.float64]) -> None:
    sums = matrix.sum(axis=1)
    worst = int(np.argmax(np.abs(sums - 1)))
    if abs(sums[worst] - 1) > TOLERANCE:
        rule = f"rows must sum to 1, but row {worst} sums to {sums[worst]:.6g}; divide rows by it"
        raise WeightsError("weights", _describe(matrix), rule)


def _describe(matrix: NDArray[np.float64]) -> str:
    return f"matrix of shape {matrix.shape}"
