"""What topologies ask of their arguments, and how random ones come to be connected."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx

from ..errors import TopologyError
from ..seeding import Stream, derive

TRIES = 100
_LISTED = 8


def check_devices(n: int, least: int = 1) -> None:
    """Refuse fewer than ``least`` devices.

    Raises
    ------
    TopologyError
        ``n < least``.
    """
    if n < least:
        raise TopologyError("n", n, f"must be at least {least} (number of devices)")


def check_round(round_number: int) -> None:
    """Refuse rounds before the first.

    Raises
    ------
    TopologyError
        ``round_number < 1``.
    """
    if round_number < 1:
        raise TopologyError("round_number", round_number, "must be at least 1: rounds count from 1")


def component_sizes(graph: nx.Graph) -> list[int]:
    """Return the number of devices in each connected component, largest first."""
    return sorted(map(len, nx.connected_components(graph)), reverse=True)


def describe_components(graph: nx.Graph) -> str:
    """Return the component sizes as text, largest first, shortened where there are many."""
    sizes = component_sizes(graph)
    listed = ", ".join(map(str, sizes[:_LISTED]))
    return f"{listed}, ... ({len(sizes)} in all)" if len(sizes) > _LISTED else listed


def connected_sample(
    draw: Callable[[int], nx.Graph], seed: int, argument: str, value: object, advice: str
) -> nx.Graph:
    """Return the first connected graph among ``draw(seed_0)``, ``draw(seed_1)``, ...

    This is rejection sampling: the result is distributed as ``draw`` is, given that the
    graph is connected. The seeds derive from ``seed``, so the result is a pure function.

    Parameters
    ----------
    draw : Callable[[int], networkx.Graph]
        Gives the graph that a seed stands for.
    seed : int
        Seed of everything.
    argument, value, advice : str, object, str
        What to name, show and recommend where no graph was connected.

    Raises
    ------
    TopologyError
        None of ``TRIES`` graphs was connected; gives the last one's component sizes.
    """
    for attempt in range(TRIES):
        graph = draw(derive(seed, Stream.GRAPH, attempt))
        if nx.is_connected(graph):
            return graph
    rule = (
        f"none of {TRIES} random graphs was connected (the last one has components of "
        f"{describe_components(graph)} devices); {advice}"
    )
    raise TopologyError(argument, value, rule)
