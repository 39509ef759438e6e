"""A graph for every round: the same one always, or another each time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import networkx as nx

from ..errors import TopologyError
from ..seeding import Stream, generator
from .checks import check_round, describe_components, is_connected, settle

_LAST = "_last_links"


class Schedule(ABC):
    """Says which devices are linked in which round.

    Attributes
    ----------
    n : int
        Number of devices; every graph has the nodes 0, ..., n - 1.
    static : bool
        Whether the graph is the same in every round.
    per_step : bool
        Whether it changes at every consensus step, and not once a round: see `links`.
    directed : bool
        Whether its graphs are `networkx.DiGraph`, in which k hears j where there is a link j -> k.
    """

    n: int
    static: ClassVar[bool] = False
    per_step: bool = False
    directed: bool = False

    @abstractmethod
    def graph(self, round_number: int) -> nx.Graph:
        """Return the links of a round, counted from 1: a pure function of it.

        The graph is shared between calls and frozen: copy it before you change it.

        Raises
        ------
        TopologyError
            ``round_number < 1``.
        """

    def links(self, round_number: int, step: int, steps: int) -> nx.Graph:
        """Return the links of a consensus step: `graph` of the round, for all of its steps.

        Where `per_step` says so, the graphs are one stream that goes on from round to round,
        and step s of S in round t has that of number (t - 1) S + s. One step a round gives the
        same either way.

        Parameters
        ----------
        round_number : int
            t, from 1.
        step : int
            s, from 1 to S.
        steps : int
            S, consensus steps in each round.
        """
        number = (round_number - 1) * steps + step if self.per_step else round_number
        kept: tuple[int, nx.Graph] | None = self.__dict__.get(_LAST)
        if kept is None or kept[0] != number:
            kept = number, self.graph(number)
            self.__dict__[_LAST] = kept  # whatever a subclass does to attributes
        return kept[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is kept: it is made anew where it is needed."""
        return {name: value for name, value in self.__dict__.items() if name != _LAST}

    def of_round(self, round_number: int, steps: int) -> nx.Graph:
        """Return the links of all consensus steps of a round together, as `links` has them."""
        first, *others = (
            self.links(round_number, step, max(steps, 1)) for step in range(1, max(steps, 1) + 1)
        )
        apart = [graph for graph in others if graph is not first]
        return nx.compose_all([first, *apart]) if apart else first

    def ever(self, rounds: int, steps: int) -> nx.Graph:
        """Return the links of all rounds together, without direction: who must reach whom."""
        union = nx.Graph(self.of_round(1, steps))
        for number in range(2, 1 if self.static else rounds + 1):
            if union.number_of_edges() == self.n * (self.n - 1) // 2:
                break
            union.add_edges_from(self.of_round(number, steps).edges)
        return union


class Static(Schedule):
    """One graph, always.

    Parameters
    ----------
    graph : networkx.Graph or networkx.DiGraph
        Connected, without self-loops, on the nodes 0, ..., n - 1. With direction, a link j -> k
        means that k hears j, and everybody must be reached from everybody along such links. It
        is copied.

    Raises
    ------
    TopologyError
        The graph is not so; where it is disconnected, gives its component sizes.
    """

    static = True

    def __init__(self, graph: nx.Graph) -> None:
        _check_simple(graph)
        self.directed = graph.is_directed()
        if not is_connected(graph):
            sizes, how = describe_components(graph), "strongly " if self.directed else ""
            rule = f"must be {how}connected, but has components of {sizes} devices; link them"
            raise TopologyError("topology", str(graph), rule)
        self._graph = nx.freeze(_ascending(graph))
        self.n = len(self._graph)

    def __repr__(self) -> str:
        return f"Static({self._graph})"

    def graph(self, round_number: int) -> nx.Graph:
        """Return the one graph."""
        check_round(round_number)
        return self._graph


@dataclass(frozen=True)
class RandomMatchings(Schedule):
    """Each consensus step pairs the devices off anew: a uniformly random perfect matching.

    With odd ``n`` the matching is near-perfect: one device, chosen uniformly, is alone.
    Synonym: randomized pairwise gossip, with all pairs at once.

    Parameters
    ----------
    n : int
        Number of devices, at least 1.
    per_step : bool
        Whether all steps of a round have pairs of their own, or the same ones.
    seed : int
        Seed of everything.

    Raises
    ------
    TopologyError
        ``n < 1``.

    References
    ----------
    S. Boyd, A. Ghosh, B. Prabhakar and D. Shah, "Randomized gossip algorithms", IEEE
    Trans. Information Theory 52, 2006.
    """

    n: int
    per_step: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        settle(self)

    def graph(self, round_number: int) -> nx.Graph:
        """Return the pairs of a number in the stream, counted from 1."""
        check_round(round_number)
        return _matching(self.n, self.seed, round_number)


@lru_cache(maxsize=32)
def _matching(n: int, seed: int, round_number: int) -> nx.Graph:
    order = generator(seed, Stream.GRAPH, round_number).permutation(n).tolist()
    graph = nx.empty_graph(n)
    graph.add_edges_from(zip(order[::2], order[1::2], strict=False))
    return nx.freeze(graph)


def _check_simple(graph: nx.Graph) -> None:
    if graph.is_multigraph():
        rule = "must have one link between two devices at most: a networkx.Graph, or a DiGraph"
        raise TopologyError("topology", str(graph), rule)
    if len(graph) < 1 or set(graph) != set(range(len(graph))):
        rule = (
            "must have the nodes 0, ..., n - 1 (one at least); "
            "networkx.convert_node_labels_to_integers renames them"
        )
        raise TopologyError("topology", str(graph), rule)
    loops = sorted(nx.nodes_with_selfloops(graph))
    if loops:
        rule = f"must have no self-loops, but has at {loops}; a device always hears itself"
        raise TopologyError("topology", str(graph), rule)


def _ascending(graph: nx.Graph) -> nx.Graph:
    """Return a copy whose nodes are ints and listed in ascending order."""
    copy = nx.DiGraph() if graph.is_directed() else nx.Graph()
    copy.add_nodes_from((node, dict(graph.nodes[node])) for node in range(len(graph)))
    copy.add_edges_from((int(u), int(v), dict(data)) for u, v, data in graph.edges(data=True))
    return copy
