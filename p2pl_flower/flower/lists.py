"""The neighbor lists of one run: along which links devices are told of each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx
from flwr.app import ConfigRecord, RecordDict

from ..options import Options
from ..relay import Relay
from ..topology.neighborhood import linked_in, neighborhood
from . import messages
from .told import Told


class Lists:
    """What every device is told of itself, its neighbors and the options, where it is news.

    Parameters
    ----------
    graph : networkx.Graph
        The first links.
    options : Options
        The algorithm's options.
    relay : Relay
        The open relay of the run.
    run : int
        The run's id.
    addresses : Mapping[int, str]
        Where devices' mailboxes are, for relays that need to know.

    Attributes
    ----------
    graph : networkx.Graph
        The links that devices are told of.
    admitted : networkx.Graph
        The links along which their mailboxes are open.
    samples : dict[int, float]
        The devices' numbers of samples; 0 until a device has trained.
    addresses : dict[int, str]
        Where their mailboxes are.
    """

    def __init__(
        self,
        graph: nx.Graph,
        options: Options,
        relay: Relay,
        run: int,
        addresses: Mapping[int, str],
    ) -> None:
        self.graph = self.admitted = graph
        self.samples: dict[int, float] = dict.fromkeys(graph, 0)
        self.addresses = dict(addresses)
        self._options, self._relay, self._run = options, relay, run
        self._listed_options = messages.options_to_config(options)
        self._told = Told()

    def follow(self, graph: nx.Graph, admitted: nx.Graph) -> bool:
        """Return whether devices are told of just these links, and mailboxes open along those."""
        return bool(self._told) and graph is self.graph and admitted is self.admitted

    def change(self, graph: nx.Graph, admitted: nx.Graph) -> None:
        """Change to a graph that devices are told of; their mailboxes are open along another.

        Where the graph changes within a round, mailboxes are open along the links of all its
        steps from its beginning on: else a device would be asked before it is told by whom. They
        are open both ways where links are one-way: acknowledgments go the other way.
        """
        if admitted is not self.admitted or not self._told:
            self._relay.admit(self._run, {d: linked_in(admitted, d) for d in admitted})
        self.graph, self.admitted = graph, admitted

    def forget(self, device: int) -> None:
        """Take it that a device knows nothing: the next order says all again."""
        self._told.forget(device)

    def orders(self, devices: Collection[int], **order: Any) -> dict[int, RecordDict]:
        """Return an order for each device, with its neighbor list where that is news to it."""
        return {
            device: RecordDict({messages.RECORD: ConfigRecord({**order, **self._news(device)})})
            for device in devices
        }

    def _news(self, device: int) -> dict[str, Any]:
        options = self._options
        me, neighbors = neighborhood(self.graph, device, self.samples, options.matrix)
        me = replace(me, devices=len(self.graph) if options.algorithm.knows_place else None)
        placed = [replace(n, address=self.addresses.get(n.id, "")) for n in neighbors]
        others = sorted({*linked_in(self.admitted, device)} - {n.id for n in neighbors})
        elsewhere = {j: self.addresses[j] for j in others if self.addresses.get(j)}
        return self._told.news(me, placed, self._listed_options, elsewhere)
