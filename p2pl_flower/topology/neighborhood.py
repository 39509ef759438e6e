"""What a device knows of itself and its neighbors, and all that it is ever told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """

    id: int
    degree: int
    samples: float = 0
    address: str = ""
    weight: float | None = None


def neighborhood(
    graph: nx.Graph,
    device: int,
    samples: Mapping[int, float] | None = None,
    matrix: NDArray[np.floating] | None = None,
) -> tuple[Neighbor, tuple[Neighbor, ...]]:
    """Return what ``device`` is told: its own entry, and its neighbors' in ascending id order.

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
    own, *others = (
        Neighbor(
            id=node,
            degree=len(graph.adj[node]),
            samples=_samples_of(node, samples),
            weight=None if matrix is None else float(matrix[device, node]),
        )
        for node in (int(device), *sorted(map(int, graph.adj[device])))
    )
    return own, tuple(others)


def _samples_of(node: int, samples: Mapping[int, float] | None) -> float:
    if samples is None:
        return 0
    if node not in samples:
        rule = f"has no entry for device {node}; give every device's sample count"
        raise ConfigError("samples", sorted(samples), rule)
    count = samples[node]
    return int(count) if float(count).is_integer() else float(count)
