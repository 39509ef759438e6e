"""Graphs that nothing is random about; ``seed`` is there so that all are called alike."""

from __future__ import annotations

from math import isqrt

import networkx as nx

from ..errors import TopologyError
from .checks import check_devices, integer


def complete(n: int, seed: int = 0) -> nx.Graph:
    """Return the graph in which every device is linked to every other.

    Parameters
    ----------
    n : int
        Number of devices, at least 1.
    seed : int
        Unused.

    Raises
    ------
    TopologyError
        ``n < 1``.
    """
    n = check_devices(n)
    return nx.complete_graph(n)


def ring(n: int, seed: int = 0) -> nx.Graph:
    """Return the cycle 0 - 1 - ... - (n-1) - 0: degree 2, diameter floor(n / 2).

    One device is a single node, two are a single link.

    Parameters
    ----------
    n : int
        Number of devices, at least 1.
    seed : int
        Unused.

    Raises
    ------
    TopologyError
        ``n < 1``.
    """
    n = check_devices(n)
    return nx.cycle_graph(n) if n > 1 else nx.path_graph(1)


def star(n: int, seed: int = 0) -> nx.Graph:
    """Return the star whose center is device 0: diameter 2.

    Parameters
    ----------
    n : int
        Number of devices, the center included, at least 1.
    seed : int
        Unused.

    Raises
    ------
    TopologyError
        ``n < 1``.
    """
    n = check_devices(n)
    return nx.star_graph(n - 1)


def path(n: int, seed: int = 0) -> nx.Graph:
    """Return the line 0 - 1 - ... - (n-1): diameter n - 1, the largest there is.

    Parameters
    ----------
    n : int
        Number of devices, at least 1.
    seed : int
        Unused.

    Raises
    ------
    TopologyError
        ``n < 1``.
    """
    n = check_devices(n)
    return nx.path_graph(n)


def torus(n: int, rows: int = 0, seed: int = 0) -> nx.Graph:
    """Return the grid of rows x columns that wraps around in both directions.

    The device in row r and column c is number ``r * columns + c``. Every device has 4
    neighbors; along a side of 2 both directions lead to the same one, so 3 or 2.

    Parameters
    ----------
    n : int
        Number of devices: ``rows * columns``, both at least 2.
    rows : int
        Number of rows; 0 takes the most square grid.
    seed : int
        Unused.

    Raises
    ------
    TopologyError
        ``n`` is not such a product (a prime, say), or ``rows`` does not divide it.
    """
    n = check_devices(n, least=4)
    rows = integer("rows", rows, 0)
    rows = _check_rows(n, rows) if rows else _most_square(n)
    grid = nx.grid_2d_graph(rows, n // rows, periodic=True)
    return nx.convert_node_labels_to_integers(grid)


def _check_rows(n: int, rows: int) -> int:
    if rows < 2 or n % rows or n // rows < 2:
        valid = ", ".join(str(r) for r in range(2, n // 2 + 1) if n % r == 0) or "none"
        rule = f"must divide n={n} into at least 2 rows and 2 columns (possible: {valid})"
        raise TopologyError("rows", rows, rule)
    return rows


def _most_square(n: int) -> int:
    rows = next(r for r in range(isqrt(n), 0, -1) if n % r == 0)
    if rows == 1:
        rule = (
            "a torus needs rows * columns devices, at least 2 of each, and this is a prime; "
            f"use n={n - 1} or n={n + 1}, or the topology 'ring'"
        )
        raise TopologyError("n", n, rule)
    return rows
