"""Who is linked to whom: graph families, and schedules that give a graph per round.

A family is a plain function ``(n, ..., seed) -> networkx.Graph`` on the nodes
0, ..., n - 1 (a ``DiGraph`` where links are one-way: k hears j along j -> k); a `Schedule`
gives the graph of each round. `schedule` makes the latter from whatever the user gave.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import networkx as nx

from ..config import Table
from ..errors import TopologyError
from .checks import check_devices, component_sizes, describe_components, integer, is_connected
from .classic import complete, path, ring, star, torus
from .directed import directed_ring, random_out
from .exponential import OnePeerExponential, exponential
from .geometric import RandomWaypoint, random_geometric
from .random_graphs import erdos_renyi, regular, scale_free, small_world
from .random_peers import EpidemicLocal, RandomRegular, epidemic_oracle
from .schedules import RandomMatchings, Schedule, Static

__all__ = [
    "TOPOLOGIES",
    "EpidemicLocal",
    "OnePeerExponential",
    "RandomMatchings",
    "RandomRegular",
    "RandomWaypoint",
    "Schedule",
    "Static",
    "complete",
    "component_sizes",
    "diameter",
    "directed_ring",
    "epidemic_oracle",
    "erdos_renyi",
    "exponential",
    "path",
    "random_geometric",
    "random_out",
    "regular",
    "ring",
    "scale_free",
    "schedule",
    "small_world",
    "star",
    "torus",
]

TOPOLOGIES: Table[nx.Graph | Schedule] = Table(
    "topology",
    {
        "complete": complete,
        "ring": ring,
        "star": star,
        "path": path,
        "torus": torus,
        "regular": regular,
        "erdos-renyi": erdos_renyi,
        "small-world": small_world,
        "scale-free": scale_free,
        "random-geometric": random_geometric,
        "exponential": exponential,
        "directed-ring": directed_ring,
        "random-out": random_out,
        "one-peer-exponential": OnePeerExponential,
        "random-matchings": RandomMatchings,
        "random-regular": RandomRegular,
        "epidemic-local": EpidemicLocal,
        "epidemic-oracle": epidemic_oracle,
        "random-waypoint": RandomWaypoint,
    },
    reserved=("n", "seed"),
    group="p2pl_flower.topologies",
    base=(nx.Graph, Schedule),
)


def schedule(
    topology: str | nx.Graph | Schedule | Callable[..., nx.Graph | Schedule], n: int, seed: int = 0
) -> Schedule:
    """Return the schedule that ``topology`` stands for.

    Parameters
    ----------
    topology : str, networkx.Graph, Schedule or Callable
        A name of `TOPOLOGIES` with its arguments (``"erdos-renyi:p=0.1"``), a graph, a
        schedule, or a function that is called with ``n``, and with ``seed=seed`` where
        it has such a parameter, and returns a graph or a schedule.
    n : int
        Number of devices.
    seed : int
        Seed of everything.

    Raises
    ------
    ConfigError
        The text names no topology, or no parameter of it.
    TopologyError
        The graph cannot be made, is disconnected, or has another size than ``n``.
    """
    n, seed = check_devices(n), integer("seed", seed, 0)
    made = _make(topology, n, seed)
    if isinstance(made, nx.Graph):
        made = Static(made)
    if not isinstance(made, Schedule):
        rule = "must be a name, a networkx.Graph, a Schedule, or a function that returns those"
        raise TopologyError("topology", topology, rule, TOPOLOGIES.names())
    if made.n != n:
        rule = f"has {made.n} devices where n={n} are needed; make them the same"
        raise TopologyError("topology", topology if isinstance(topology, str) else made, rule)
    return made


def diameter(graph: nx.Graph) -> int:
    """Return the largest distance between two devices, in links.

    It is the number of steps that max norm synchronization needs.

    Raises
    ------
    TopologyError
        The graph is disconnected; gives its component sizes.
    """
    if len(graph) < 1 or not is_connected(graph):
        sizes = describe_components(graph) or "no"
        rule = f"must be connected to have a diameter, but has components of {sizes} devices"
        raise TopologyError("graph", str(graph), rule)
    return int(nx.diameter(graph, usebounds=not graph.is_directed()))


def _make(topology: object, n: int, seed: int) -> object:
    if isinstance(topology, str):
        return TOPOLOGIES.make(topology, n=n, seed=seed)
    if isinstance(topology, nx.Graph | Schedule) or not callable(topology):
        return topology
    seeded = "seed" in inspect.signature(topology).parameters
    return topology(n, seed=seed) if seeded else topology(n)
