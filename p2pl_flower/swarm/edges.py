"""The links of a graph as arrays, and the mixing weights on all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..topology.neighborhood import Neighbor, directions
from ..weights import Ends, FormulaRule, WeightRule, row_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Edges:
    """Who hears whom, in ascending order of (to, source): links both ways, or one-way ones.

    Attributes
    ----------
    to, source : NDArray[int64], shape (2 E,) or, of one-way links, (E,)
        Device k = to[e] hears device j = source[e].
    degrees : NDArray[int64], shape (K,)
        How many each device hears.
    out_degrees : NDArray[int64] of shape (K,), or None
        How many hear it, where links are one-way; None where these are the same ones.
    """

    to: Ints
    source: Ints
    degrees: Ints
    out_degrees: Ints | None = None

    @classmethod
    def of(cls, graph: nx.Graph) -> Edges:
        """Return the links of a graph on the nodes 0, ..., K - 1."""
        to, source = directions(graph)
        degrees = np.bincount(to, minlength=len(graph))
        out = np.bincount(source, minlength=len(graph)) if graph.is_directed() else None
        return cls(to, source, degrees, out)

    @property
    def heard_by(self) -> Ints:
        """How many devices hear each."""
        return self.degrees if self.out_degrees is None else self.out_degrees

    def where(self, kept: NDArray[np.bool_]) -> Edges:
        """Return the directions that ``kept`` marks; degrees stay those of the graph."""
        return Edges(self.to[kept], self.source[kept], self.degrees, self.out_degrees)

    def live(self, heard: NDArray[np.bool_], both_ways: bool) -> Edges:
        """Return the directions on which something was heard, with the degrees that these make.

        Parameters
        ----------
        heard : NDArray[bool]
            On which directions.
        both_ways : bool
            Whether those are left out on whose opposite nothing was; they count in degrees.
        """
        count = len(self.degrees)
        degrees = np.bincount(self.to[heard], minlength=count).astype(np.int64)
        to, source = self.to[heard], self.source[heard]
        if both_ways:
            opposite = np.isin(to * count + source, source * count + to)
            to, source = to[opposite], source[opposite]
        return Edges(to, source, degrees, self.out_degrees)

    def sums(self, values: Floats) -> Floats:
        """Return, for each device, the sum of ``values`` over what it hears: shape (K,)."""
        return np.bincount(self.to, values, minlength=len(self.degrees)).astype(np.float64)


def edge_weights(rule: WeightRule, edges: Edges, samples: Ints, matrix: Floats | None) -> Floats:
    """Return a_kj on every edge: what `WeightRule.row` gives, for all devices at once.

    Parameters
    ----------
    rule : WeightRule
        How devices weigh their neighbors. One of the user's own is asked row by row.
    edges : Edges
        The links: all that the devices concerned have.
    samples : NDArray[int64], shape (K,)
        Training samples of each device, as far as neighbors know.
    matrix : NDArray[float64] of shape (K, K), or None
        The user's own mixing matrix.

    Raises
    ------
    WeightsError
        The devices lack what the rule needs.
    """
    if isinstance(rule, FormulaRule) and type(rule).row is FormulaRule.row:
        return np.asarray(rule.weigh(*_ends(edges, samples, matrix)), dtype=np.float64)
    weights = np.zeros(len(edges.to))
    devices, firsts = np.unique(edges.to, return_index=True)  # edges are in order of them
    for k, first, end in zip(devices, firsts, [*firsts, len(weights)][1:], strict=True):
        places = slice(int(first), int(end))
        own, *others = (
            Neighbor(
                j,
                int(edges.degrees[j]),
                int(samples[j]),
                weight=None if matrix is None else float(matrix[k, j]),
                out_degree=None if edges.out_degrees is None else int(edges.out_degrees[j]),
            )
            for j in (int(k), *edges.source[places].tolist())
        )
        weights[places] = list(row_of(rule, own, others).values())
    return weights


def _ends(edges: Edges, samples: Ints, matrix: Floats | None) -> tuple[Ends, Ends, Ends]:
    """Return what is known of both ends of every edge, and of all that each device hears."""
    to, source = edges.to, edges.source
    unknown = np.full(len(to), np.nan)
    weights = unknown if matrix is None else matrix[to, source]
    counts = samples.astype(np.float64)
    own = Ends(to, edges.degrees[to], counts[to], unknown, edges.heard_by[to])
    other = Ends(source, edges.degrees[source], counts[source], weights, edges.heard_by[source])
    return own, other, Ends(*(edges.sums(column)[to] for column in other))


def keep_heard(weights: Floats, heard: NDArray[np.bool_], edges: Edges, on_missing: str) -> Floats:
    """Return the weights with 0 where nothing was heard: `keep_answered`, all rows at once."""
    kept = np.where(heard, weights, 0.0)
    if on_missing != "neighbors" or heard.all():
        return kept
    left, whole = edges.sums(kept), edges.sums(weights)
    scale = np.divide(whole, left, out=np.ones_like(left), where=left > 0)
    return np.asarray(kept * scale[edges.to])
