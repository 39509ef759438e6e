"""Graphs of one-way links: k hears j along j -> k, and j need not hear k."""

from __future__ import annotations

import networkx as nx

from ..errors import TopologyError
from ..seeding import Stream, generator
from .checks import check_devices, connected_sample, integer


def directed_ring(n: int, seed: int = 0) -> nx.DiGraph:
    """Return the ring in which i + 1 hears i, and nobody else does: the sparsest of all.

    Parameters
    ----------
    n : int
        Number of devices, at least 2.
    seed : int
        Unused; it is there so that all topologies are called alike.

    Raises
    ------
    TopologyError
        ``n < 2``.
    """
    return nx.cycle_graph(check_devices(n, least=2), create_using=nx.DiGraph)


def random_out(n: int, s: int, seed: int = 0) -> nx.DiGraph:
    """Return a graph in which ``s`` others hear each device: how many it hears itself is random.

    Everybody is reached from everybody, which about ln(n) listeners each suffice for.

    Parameters
    ----------
    n : int
        Number of devices, at least 2.
    s : int
        Listeners of each device, 1 <= s < n.
    seed : int
        Seed of everything.

    Raises
    ------
    TopologyError
        ``s`` is out of range, or none of the draws was strongly connected.
    """
    n, s = check_devices(n, least=2), check_listeners(n, s)
    return connected_sample(
        lambda derived: sent_at_random(n, s, derived), seed, "s", s, "take more"
    )


def check_listeners(n: int, s: int) -> int:
    """Return how many others hear each device.

    Raises
    ------
    TopologyError
        It is not from 1 to n - 1.
    """
    s = integer("s", s, 1)
    if s >= n:
        raise TopologyError("s", s, f"must be less than n={n}: who hears a device is another one")
    return s


def sent_at_random(n: int, s: int, seed: int, *coordinates: int) -> nx.DiGraph:
    """Return links from each device to ``s`` others, each set of them as likely as any other."""
    draw = generator(seed, Stream.GRAPH, *coordinates)
    graph = nx.empty_graph(n, create_using=nx.DiGraph)
    for device in range(n):
        others = draw.choice(n - 1, s, replace=False)
        graph.add_edges_from((device, int(j) + (int(j) >= device)) for j in sorted(others))
    return graph
