"""Random graph families. A draw that falls apart is drawn again, see `connected_sample`."""

from __future__ import annotations

from math import log

import networkx as nx

from ..errors import TopologyError
from ..seeding import Stream, derive
from .checks import check_devices, connected_sample, integer, number


def regular(n: int, d: int, seed: int = 0) -> nx.Graph:
    """Return a random connected graph in which every device has ``d`` neighbors.

    Parameters
    ----------
    n : int
        Number of devices.
    d : int
        Degree of every device, 1 <= d < n; ``n * d`` must be even.
    seed : int
        Seed of everything.

    Raises
    ------
    TopologyError
        No such graph exists, or none of the draws was connected.
    """
    n, d = check_devices(n, least=2), integer("d", d, 1)
    if d >= n:
        raise TopologyError("d", d, f"must be less than n={n}")
    if n * d % 2:
        raise TopologyError("d", d, f"n * d must be even, and n={n} is odd; use d={d - 1 or 2}")
    if d == 1 and n > 2:
        raise TopologyError("d", d, f"links n={n} devices in pairs only; use d=2 or more")
    return connected_sample(lambda s: random_regular(n, d, s), seed, "d", d, "use d=3 or more")


def random_regular(n: int, d: int, seed: int) -> nx.Graph:
    """Draw a regular graph; a dense one as the complement of a sparse one, which is quicker."""
    if 2 * d < n:
        return _ordered(nx.random_regular_graph(d, n, seed=seed))
    return _ordered(nx.complement(nx.random_regular_graph(n - 1 - d, n, seed=seed)))


def _ordered(graph: nx.Graph) -> nx.Graph:
    """Return the same graph with its nodes listed in ascending order."""
    ordered = nx.empty_graph(len(graph))
    ordered.add_edges_from(graph.edges)
    return ordered


def erdos_renyi(n: int, p: float, seed: int = 0) -> nx.Graph:
    """Return a connected Erdos-Renyi graph G(n, p): each link is there with probability p.

    Synonyms: Gilbert graph, binomial graph. Graphs become connected at about
    p = ln(n) / n.

    Parameters
    ----------
    n : int
        Number of devices, at least 1.
    p : float
        Probability of each link, in (0, 1].
    seed : int
        Seed of everything.

    Raises
    ------
    TopologyError
        ``p`` is out of range, or none of the draws was connected.

    References
    ----------
    P. Erdos and A. Renyi, "On random graphs I", Publ. Math. Debrecen 6, 1959.
    E. N. Gilbert, "Random graphs", Annals of Mathematical Statistics 30, 1959.
    """
    n, p = check_devices(n), number("p", p, "(0, 1]", "probability of a link")
    advice = f"use a larger p: graphs become connected at about ln(n)/n = {log(n) / n:.3g}"
    return connected_sample(lambda s: nx.fast_gnp_random_graph(n, p, seed=s), seed, "p", p, advice)


def small_world(n: int, k: int, p: float, seed: int = 0) -> nx.Graph:
    """Return a connected Watts-Strogatz graph: a ring with some links rewired.

    Each device is linked to its ``k`` nearest on a ring, then each link's far end moves
    to a random device with probability ``p``.

    Parameters
    ----------
    n : int
        Number of devices.
    k : int
        Mean degree: even, 2 <= k < n.
    p : float
        Probability that a link is rewired, in [0, 1].
    seed : int
        Seed of everything.

    Raises
    ------
    TopologyError
        ``k`` or ``p`` is out of range, or none of the draws was connected.

    References
    ----------
    D. J. Watts and S. H. Strogatz, "Collective dynamics of 'small-world' networks",
    Nature 393, 1998.
    """
    n, k = check_devices(n, least=3), integer("k", k, 2)
    p = number("p", p, "[0, 1]", "probability that a link is rewired")
    if k % 2 or k >= n:
        raise TopologyError("k", k, f"must be even and less than n={n}")
    advice = "use a smaller p or a larger k"
    return connected_sample(
        lambda s: nx.watts_strogatz_graph(n, k, p, seed=s), seed, "p", p, advice
    )


def scale_free(n: int, m: int, seed: int = 0) -> nx.Graph:
    """Return a Barabasi-Albert graph: few hubs, many devices of small degree.

    A star of m + 1 devices grows one device at a time; each new one is linked to ``m``
    others, chosen with probability proportional to their degree. Always connected.

    Parameters
    ----------
    n : int
        Number of devices.
    m : int
        Links of each new device, 1 <= m < n.
    seed : int
        Seed of everything.

    Raises
    ------
    TopologyError
        ``m`` is out of range.

    References
    ----------
    A.-L. Barabasi and R. Albert, "Emergence of scaling in random networks", Science
    286, 1999.
    """
    n, m = check_devices(n, least=2), integer("m", m, 1)
    if m >= n:
        raise TopologyError("m", m, f"must be less than n={n}")
    return nx.barabasi_albert_graph(n, m, seed=derive(integer("seed", seed, 0), Stream.GRAPH))
