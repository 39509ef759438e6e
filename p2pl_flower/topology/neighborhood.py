"""What a device knows of itself and its neighbors, and all that it is ever told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError


@dataclass(frozen=True, slots=True)
class Neighbor:
    """One device, as another one knows it (or as it knows itself).

    Parameters
    ----------
    id : int
        Number of the device, from 0.
    degree : int
        How many neighbors it has.
    samples : float
        How many training samples it has, or what a project weighs devices by in their place.
    address : str
        Where its mailbox is, for relays that need to know.
    weight : float or None
        Only with a mixing matrix of the user's own: the weight that the device which is
        told this gives to the device which this is about.
    out_degree : int or None
        Where links are one-way, how many devices hear it, while ``degree`` is how many it hears;
        None where these are the same ones.
    listeners : tuple[int, ...] or None
        Of the device itself, where links are one-way: which devices hear it.
    devices : int or None
        Of the device itself, where its algorithm must know: how many there are in all.
    """

    id: int
    degree: int
    samples: float = 0
    address: str = ""
    weight: float | None = None
    out_degree: int | None = None
    listeners: tuple[int, ...] | None = None
    devices: int | None = None

    @property
    def heard_by(self) -> int:
        """How many devices hear it."""
        return self.degree if self.out_degree is None else self.out_degree


def directions(graph: nx.Graph) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return who hears whom, ``(to, source)``, in ascending order of both: shape (2 E,) each.

    Of links that are one-way, shape (E,).
    """
    pairs = np.array(list(graph.edges), dtype=np.int64).reshape(-1, 2)
    heard = pairs[:, ::-1]
    both = heard if graph.is_directed() else np.concatenate([pairs, heard])
    to, source = both[np.lexsort((both[:, 1], both[:, 0]))].T
    return np.ascontiguousarray(to), np.ascontiguousarray(source)


def heard_in(graph: nx.Graph, device: int) -> list[int]:
    """Return whom a device hears, ascending: those with a link to it."""
    return sorted(map(int, graph.pred[device] if graph.is_directed() else graph.adj[device]))


def linked_in(graph: nx.Graph, device: int) -> list[int]:
    """Return whom a device has a link with, in whatever direction, ascending."""
    both = {*graph.pred[device], *graph.succ[device]} if graph.is_directed() else graph.adj[device]
    return sorted(map(int, both))


def neighborhood(
    graph: nx.Graph,
    device: int,
    samples: Mapping[int, float] | None = None,
    matrix: NDArray[np.floating] | None = None,
) -> tuple[Neighbor, tuple[Neighbor, ...]]:
    """Return what ``device`` is told: its own entry, and those of whom it hears, by ascending id.

    Parameters
    ----------
    graph : networkx.Graph
        Links between the devices.
    device : int
        Whose neighborhood it is.
    samples : Mapping[int, float] or None
        Training samples of each device; None leaves them at 0.
    matrix : NDArray of shape (n, n), or None
        Mixing matrix of the user's own; its row ``device`` fills ``Neighbor.weight``.

    Raises
    ------
    ConfigError
        The graph has no such device, or ``samples`` lacks one of the neighborhood.
    """
    if device not in graph:
        devices = graph.number_of_nodes()
        raise ConfigError("device", device, f"must be a node of the graph of {devices} devices")
    directed = graph.is_directed()
    own, *others = (
        Neighbor(
            id=node,
            degree=len(graph.pred[node] if directed else graph.adj[node]),
            samples=_samples_of(node, samples),
            weight=None if matrix is None else float(matrix[device, node]),
            out_degree=len(graph.succ[node]) if directed else None,
        )
        for node in (int(device), *heard_in(graph, device))
    )
    if directed:
        own = replace(own, listeners=tuple(sorted(map(int, graph.succ[device]))))
    return own, tuple(others)


def _samples_of(node: int, samples: Mapping[int, float] | None) -> float:
    if samples is None:
        return 0
    if node not in samples:
        rule = f"has no entry for device {node}; give every device's sample count"
        raise ConfigError("samples", sorted(samples), rule)
    count = samples[node]
    return int(count) if float(count).is_integer() else float(count)
