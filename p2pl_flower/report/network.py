"""Who is linked to whom, round by round, as a report draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import networkx as nx
import numpy as np
from numpy.typing import NDArray

MOST_LINKS = 4000
"""More links than these are a gray cloud: so many of them are drawn, evenly chosen."""

_FEW = 300


class Graphs(Protocol):
    """Graphs by round, such as `p2pl_flower.topology.Schedule`."""

    @property
    def static(self) -> bool:
        """Whether they are all the same."""

    def of_round(self, round_number: int, steps: int) -> nx.Graph:
        """Return the links of all steps of a round together."""


class Losses(Protocol):
    """Which links are up, such as `p2pl_flower.links.Links`."""

    def up(self, i: Any, j: Any, round_number: Any, step: Any) -> NDArray[np.bool_]:
        """Return whether ``i`` hears ``j``."""


@dataclass(frozen=True)
class Network:
    """Links that are drawn, and what becomes of each in each round.

    Attributes
    ----------
    name : str
        What the graph is called, as in ``ring``.
    places : NDArray of shape (K, 2)
        Where devices are drawn, within the square from -1 to 1.
    links : NDArray of shape (E, 2)
        Pairs of devices, the smaller first.
    there, up : NDArray of shape (R, E), bool
        Whether the graph of a round has the link; and whether it is up, both ways, in the round's
        first consensus step.
    total : int
        How many links the graphs have together: E, or more where not all are drawn.
    changes : bool
        Whether the graph is another in other rounds.
    """

    name: str
    places: NDArray[np.float64]
    links: NDArray[np.int64]
    there: NDArray[np.bool_]
    up: NDArray[np.bool_]
    total: int
    changes: bool

    @classmethod
    def over(cls, name: str, graphs: Graphs, rounds: int, steps: int, losses: Losses) -> Network:
        """Return the network of ``rounds`` rounds of ``steps`` consensus steps.

        Parameters
        ----------
        name : str
            What the graph is called.
        graphs : Graphs
            The links of each round.
        rounds, steps : int
            R, and S.
        losses : Losses
            Which of them are up.
        """
        count = max(rounds, 1)
        found = [graphs.of_round(t, steps) for t in range(1, (1 if graphs.static else count) + 1)]
        sets = [{(min(e), max(e)) for e in graph.edges} for graph in found]
        every = np.array(sorted(set().union(*sets)), dtype=np.int64).reshape(-1, 2)
        drawn = every[np.linspace(0, len(every) - 1, min(len(every), MOST_LINKS)).astype(int)]
        there = np.array([[(a, b) in links for a, b in drawn.tolist()] for links in sets])
        there = np.broadcast_to(there.reshape(len(sets), len(drawn)), (count, len(drawn)))
        a, b = drawn.T
        both = [losses.up(a, b, t, 1) & losses.up(b, a, t, 1) for t in range(1, count + 1)]
        up = np.array([np.broadcast_to(each, len(drawn)) for each in both])
        return cls(name, _places(found[0]), drawn, there, up, len(every), changes=not graphs.static)


def _places(graph: nx.Graph) -> NDArray[np.float64]:
    """Return where to draw devices: their own places, a circle, or where springs pull them."""
    nodes = sorted(graph)
    own = nx.get_node_attributes(graph, "pos")
    degree = 2 * graph.number_of_edges() / max(len(nodes), 1)
    if len(own) == len(nodes):
        found = own
    elif degree <= 2 or _round_about(graph) or len(nodes) <= 12:
        found = nx.circular_layout(graph)
    else:
        start = nx.circular_layout(graph)
        steps = 200 if len(nodes) <= _FEW else 30
        found = nx.spring_layout(graph, pos=start, seed=0, iterations=steps)
    array = np.array([found[k] for k in nodes], dtype=np.float64).reshape(-1, 2)
    low, high = array.min(axis=0), array.max(axis=0)
    middle, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-9)
    scaled: NDArray[np.float64] = (array - middle) / half
    return scaled


def _round_about(graph: nx.Graph) -> bool:
    """Return whether links join devices whose numbers are near, as on a ring, or all alike."""
    n = len(graph)
    if graph.number_of_edges() == n * (n - 1) // 2:
        return True
    gaps = [(abs(a - b), n - abs(a - b)) for a, b in graph.edges]
    near = sum(min(both) <= 2 for both in gaps)
    powers = sum(any(gap & (gap - 1) == 0 for gap in both) for both in gaps)
    return bool(near >= 0.8 * len(gaps) or powers == len(gaps))
