"""Graphs whose links span powers of two: small degree, and small diameter too.

References
----------
B. Ying, K. Yuan, Y. Chen, H. Hu, P. Pan and W. Yin, "Exponential graph is provably
efficient for decentralized deep training", NeurIPS 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import networkx as nx

from .checks import check_devices, check_round, settle
from .schedules import Schedule


def exponential(n: int, directed: bool = False, seed: int = 0) -> nx.Graph:
    """Return the static exponential graph: i is linked to i ± 2^k modulo n.

    k runs over 0, ..., ceil(log2 n) - 1. The degree is at most 2 ceil(log2 n). Ying et
    al. define the directed graph with i + 2^k only; a link here works both ways otherwise.

    Parameters
    ----------
    n : int
        Number of devices, at least 1.
    directed : bool
        Whether links are one-way: i + 2^k hears i.
    seed : int
        Unused; it is there so that all topologies are called alike.

    Raises
    ------
    TopologyError
        ``n < 1``.
    """
    n = check_devices(n)
    return _linked(n, _hops(n), directed)


@dataclass(frozen=True)
class OnePeerExponential(Schedule):
    """One power of two a consensus step: in the t-th of all steps {i, (i + 2^k) mod n} are linked.

    k = (t - 1) mod ceil(log2 n), so that after ceil(log2 n) steps the links of the
    static exponential graph have all had their turn. In the graph of Ying et al. (2021),
    ``directed`` here, a device sends to one peer and hears from another; otherwise both links
    work both ways, so a device has 2 neighbors (1 where they coincide).
    A single step's graph is connected only where 2^k and n have no common divisor.

    Parameters
    ----------
    n : int
        Number of devices, at least 1.
    per_step : bool
        Whether each step of a round has its turn, or t counts rounds.
    directed : bool
        Whether links are one-way: i + 2^k hears i.
    seed : int
        Unused; it is there so that all topologies are called alike.

    Raises
    ------
    TopologyError
        ``n < 1``.
    """

    n: int
    per_step: bool = True
    directed: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        settle(self)

    def graph(self, round_number: int) -> nx.Graph:
        """Return the links of a number in the stream, counted from 1."""
        check_round(round_number)
        hops = _hops(self.n)
        hop = hops[(round_number - 1) % len(hops)] if hops else 0
        return _circulant(self.n, hop, self.directed)


def _hops(n: int) -> list[int]:
    ceil_log2 = (n - 1).bit_length()
    return [2**k for k in range(ceil_log2)]


@lru_cache(maxsize=32)
def _circulant(n: int, hop: int, directed: bool) -> nx.Graph:
    return nx.freeze(_linked(n, [hop] if hop else [], directed))


def _linked(n: int, hops: list[int], directed: bool) -> nx.Graph:
    if not directed:
        return nx.circulant_graph(n, hops)
    graph = nx.empty_graph(n, create_using=nx.DiGraph)
    graph.add_edges_from((i, (i + hop) % n) for i in range(n) for hop in hops)
    return graph
