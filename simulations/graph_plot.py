"""A plot of the graph that the devices are linked by."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np

from p2pl_flower.history import History
from p2pl_flower.topology import schedule

SIZE = (7.0, 4.2)  # inches
_SQUARE = (5.0, 4.2)  # as wide as high, and a color bar

_CIRCULAR = (
    "complete",
    "exponential",
    "one-peer-exponential",
    "path",
    "random-matchings",
    "ring",
    "small-world",
)


def graph(history: History) -> Any:
    """Return the graph of round 1, drawn at the devices' places where it has these.

    It is made again from the scenario's topology, number of devices and seed; without a
    topology there is None.
    """
    from matplotlib.figure import Figure

    scenario = history.scenario
    if not scenario.get("topology") or not history.runs:
        return None
    topology = str(scenario["topology"])
    n = scenario.get("num-devices") or max(run.devices for run in history.runs)
    links = schedule(topology, n, scenario.get("seed", 0))
    network = links.graph(1)
    figure = Figure(figsize=_SQUARE, layout="constrained")
    axes = figure.add_subplot()
    _draw(figure, axes, network, _layout(network, topology))
    when = "" if links.static else " in round 1"
    count = network.number_of_edges()
    axes.set_title(f"{topology}: {n} devices, {count} links{when}", fontsize=10)
    axes.set_aspect("equal")
    axes.axis("off")
    return figure


def _draw(figure: Any, axes: Any, network: nx.Graph, place: dict[int, Any]) -> None:
    from matplotlib.collections import LineCollection

    width = float(np.clip(180 / max(1, network.number_of_edges()), 0.12, 1.2))
    segments = [(place[i], place[j]) for i, j in network.edges]
    axes.add_collection(LineCollection(segments, colors="#7A8794", linewidths=width, zorder=1))
    x, y = zip(*(place[node] for node in network.nodes), strict=True)
    degrees = [degree for _, degree in network.degree]
    even = min(degrees) == max(degrees)
    paint = {"color": "#0072B2"} if even else {"c": degrees, "cmap": "viridis_r"}
    size = float(np.clip(3500 / len(network), 8, 120))
    dots = axes.scatter(x, y, s=size, zorder=2, edgecolors="white", linewidths=0.5, **paint)
    if not even:
        from matplotlib.ticker import MaxNLocator

        ticks = MaxNLocator(integer=True)
        figure.colorbar(dots, ax=axes, label="neighbors", shrink=0.7, ticks=ticks)


def _layout(network: nx.Graph, topology: str) -> dict[int, Any]:
    places = nx.get_node_attributes(network, "pos")
    if len(places) == len(network):
        return dict(places)
    circle = nx.circular_layout(network)
    if topology.partition(":")[0] in _CIRCULAR:
        return dict(circle)
    return dict(nx.spring_layout(network, pos=circle, seed=0, iterations=200))
