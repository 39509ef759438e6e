"""Whether the links of a whole run could bring the devices together at all."""

from __future__ import annotations

import networkx as nx
import numpy as np

from p2pl_flower.swarm.edges import Edges
from p2pl_flower.topology import schedule

from ..scenario import Scenario


def parts(scenario: Scenario) -> int:
    """Return into how many parts all links that are up in a run leave the devices.

    From each device of a part every other one of it is reached along links in their direction:
    the strongly connected components of the union over rounds and steps. With more than one,
    there are devices that hear nothing of what some others have learned, whatever the algorithm.
    """
    graphs = schedule(scenario.topology, scenario.num_devices, scenario.seed)
    links, steps = scenario.options.links, scenario.options.consensus_steps
    union = nx.empty_graph(graphs.n, create_using=nx.DiGraph)
    for number in range(1, scenario.rounds + 1):
        there = np.broadcast_to(links.present(np.arange(graphs.n), number), graphs.n)
        for step in range(1, steps + 1):
            edges = Edges.of(graphs.links(number, step, steps))
            up = links.up(edges.to, edges.source, number, step)
            heard = edges.where(up & there[edges.to] & there[edges.source])
            union.add_edges_from(zip(heard.source.tolist(), heard.to.tolist(), strict=True))
        if nx.is_strongly_connected(union):
            return 1
    return int(nx.number_strongly_connected_components(union))
