"""What topologies ask of their arguments, and how random ones come to be connected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx

from ..config import at_least, take, within
from ..errors import TopologyError
from ..seeding import Stream, derive

TRIES = 100
_LISTED = 8


def integer(name: str, value: int, least: int) -> int:
    """Return an argument as an int of at least ``least``.

    Raises
    ------
    TopologyError
        It is smaller, or no integer.
    """
    made: int = take(name, value, int, at_least(least), TopologyError)
    return made


def number(name: str, value: float, interval: str, what: str) -> float:
    """Return an argument as a float in an interval, see `p2pl_flower.config.within`.

    Raises
    ------
    TopologyError
        It is outside, or no number.
    """
    made: float = take(name, value, float, within(interval, what), TopologyError)
    return made


def check_devices(n: int, least: int = 1) -> int:
    """Return the number of devices as an int.

    Raises
    ------
    TopologyError
        ``n < least``, or it is no integer.
    """
    return integer("n", n, least)


def settle(schedule: Any, **made: float) -> None:
    """Check ``n`` and ``seed`` of a frozen schedule, and set them and what else was ``made``.

    Raises
    ------
    TopologyError
        ``n < 1``, ``seed < 0``, or either is no integer.
    """
    made |= {"n": check_devices(schedule.n), "seed": integer("seed", schedule.seed, 0)}
    for name, value in made.items():
        object.__setattr__(schedule, name, value)


def check_round(round_number: int) -> None:
    """Refuse rounds before the first.

    Raises
    ------
    TopologyError
        ``round_number < 1``.
    """
    if round_number < 1:
        raise TopologyError("round_number", round_number, "must be at least 1: rounds count from 1")


def is_connected(graph: nx.Graph) -> bool:
    """Return whether everybody is reached from everybody, along the links' direction if any."""
    return bool(nx.is_strongly_connected(graph) if graph.is_directed() else nx.is_connected(graph))


def component_sizes(graph: nx.Graph) -> list[int]:
    """Return the number of devices in each (strongly) connected component, largest first."""
    directed = graph.is_directed()
    find = nx.strongly_connected_components if directed else nx.connected_components
    return sorted(map(len, find(graph)), reverse=True)


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
    seed = integer("seed", seed, 0)
    for attempt in range(TRIES):
        graph = draw(derive(seed, Stream.GRAPH, attempt))
        if is_connected(graph):
            return graph
    rule = (
        f"none of {TRIES} random graphs was connected (the last one has components of "
        f"{describe_components(graph)} devices); {advice}"
    )
    raise TopologyError(argument, value, rule)
