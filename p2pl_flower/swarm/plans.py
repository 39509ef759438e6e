"""What a contender is to the swarm: who trains, and by which matrices models are mixed.

The round loop is the same for all. Peer to peer learning has a matrix for each consensus
step; federated averaging has one row for all, the data shares; centralized training is that
with a single device; training alone has no step, which is the identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..history import Elapsed
from ..options import (
    Options,
    Step,
    Timing,
    check_direction,
    check_spectrum,
    step_of,
    transmitted,
)
from ..topology import Schedule
from ..topology.neighborhood import directions
from ..weights import check_matrix
from .averaging import Averaging
from .clocked import sent_step
from .edges import Edges, edge_weights, keep_heard
from .mixing import Mixing
from .plan import Ids, Plan
from .synchronization import Start, flood

__all__ = ["Averaging", "Gossip", "Plan"]

Present = NDArray[np.bool_]

_ID_BYTES = np.dtype(np.int64).itemsize


@dataclass
class Gossip(Plan):
    """Peer to peer learning over a graph.

    Parameters
    ----------
    schedule : Schedule
        The graph of each round.
    options : Options
        Algorithm, weights, consensus steps, links, init and seed.
    samples : sequence of int
        Training samples of each device.

    Raises
    ------
    ConfigError
        The graph has another number of devices, or the matrix does not fit it.
    """

    schedule: Schedule
    options: Options
    samples: Ids
    _edges: tuple[Any, Edges] = field(init=False, repr=False)
    _known: Ids = field(init=False, repr=False)
    _told: Ids = field(init=False, repr=False)
    _steps: list[Step] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        self.samples = np.asarray(self.samples, dtype=np.int64)
        if self.schedule.n != self.devices:
            rule = f"has {self.schedule.n} devices, but there is data for {self.devices}"
            raise ConfigError("topology", self.schedule, rule)
        static = self.schedule.graph(1) if self.schedule.static else None
        if self.options.matrix is not None:
            check_matrix(self.options.matrix, static, n=self.devices)
        check_spectrum(self.options, static)
        check_direction(self.options, self.schedule)
        self.seed, self.algorithm = self.options.seed, self.options.algorithm
        self.scope = self.options.max_norm_scope
        self.shared_start = self.options.init in ("shared", "seed")
        self.bounded = self.options.init == "bounded-norm"
        self.shared, self.mixing = self.options.shared, self.options.mixing
        self.coder = self.options.coder
        self.privacy, self.asynchronous = self.options.privacy, self.options.mode == "async"
        self._edges = (None, Edges.of(self.schedule.graph(1)))
        self._known = np.zeros_like(self.samples)  # until a device has trained
        self._told = np.zeros_like(self.samples)

    def start(self, norms: NDArray[np.float64], model_bytes: int) -> Start:
        """Flood the largest norm, or device 0's model, or keep what was drawn."""
        if self.options.init == "independent":
            return Start.own(norms.shape)
        if self.options.init == "seed":
            return Start.common(norms.shape)
        drew = np.arange(self.devices) == 0 if self.shared_start else np.full(self.devices, True)
        return flood(self.schedule, self.options.links, norms, drew, model_bytes)

    def trains(self, round_number: int) -> Ids:
        """Return the devices that are there."""
        there = self._present(round_number)
        self._known[there] = self.samples[there]
        return np.flatnonzero(there)

    def mixings(self, round_number: int) -> Iterator[Mixing]:
        """Return one step after the other: devices that are there mix what reaches them."""
        options, there, self._steps = self.options, self._present(round_number), []
        self._told = np.zeros_like(self.samples)
        late = np.zeros_like(there)
        if self.timing is not None:
            late = self.timing.late(round_number, self.samples)
        gamma = options.consensus_gamma * options.algorithm.mixing_step
        graph: Any = None
        for step in range(1, options.consensus_steps + 1):
            before, graph = graph, self._links(round_number, step)
            if graph is not before:
                edges = self._edges[1].where(there[self._edges[1].to])
                weights = self._weights(edges)
            up = options.links.up(edges.to, edges.source, round_number, step)
            heard = np.broadcast_to(up, edges.to.shape) & there[edges.source]
            moment = round_number, step
            self._steps.append(sent_step(options, graph, edges, heard, there, late, *moment))
            heard = heard & ~late[edges.source]
            if options.weights.column_stochastic:
                mixing = self._shared_out(edges, weights, heard, there, gamma)
            elif options.tells_heard:
                mixing = self._reweighted(edges, heard, there, gamma)
            else:
                kept = keep_heard(weights, heard, edges, options.on_missing)
                mixing = Mixing.gossip(edges, kept, heard, there, gamma)
            yield replace(mixing, moment=(round_number, step - 1))

    def scored(self, round_number: int) -> Ids:
        """Return the honest devices that are there."""
        return self.hostile.honest(np.flatnonzero(self._present(round_number)))

    def traffic(self, sent: Ids, round_number: int, message_bytes: int) -> Mapping[str, int]:
        """Return what devices sent to each other; none goes through a server."""
        sizes, lossy = sent + self._told, self.options.may_lose
        return {
            "bytes_sent": int(sizes.sum()),
            "bytes_sent_busiest": int(sizes.max()),
            "bytes_through_server": 0,
            **({"bytes_transmitted": transmitted(self._steps, sizes)} if lossy else {}),
        }

    def synchronized(self, timing: Timing, setup: Mapping[str, int]) -> float:
        """Return what the flood took, of which each step's messages are equally large."""
        steps = []
        for number in range(1, setup.get("synchronization_steps", 0) + 1):
            graph = self.schedule.graph(number)
            to, source = directions(graph)
            up = np.broadcast_to(self.options.links.up(to, source, number, 0), to.shape)
            steps.append(step_of(graph, to, source, up))
        return timing.synchronized(steps, setup.get("bytes_sent", 0))

    def elapsed(self, timing: Timing, number: int, sent: Ids, message_bytes: int) -> Elapsed:
        """Return what training and the consensus steps of the round before last asked took."""
        trained = np.flatnonzero(self._present(number))
        return timing.gossip(number, trained, self.samples, self._steps, sent + self._told)

    def describe(self) -> dict[str, Any]:
        """Return the options, and a digest of the links of the first round's steps."""
        steps = range(1, max(self.options.consensus_steps, 1) + 1)
        first = [Edges.of(self._links(1, s)) for s in (steps if self.schedule.per_step else [1])]
        arrays: list[NDArray[Any]] = [ends for edges in first for ends in (edges.to, edges.source)]
        if self.options.matrix is not None:
            arrays.append(self.options.matrix)
        flat = self.options.described()
        digest = sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
        return {**flat, "graph": f"{type(self.schedule).__name__} {digest}"}

    def _weights(self, edges: Edges) -> NDArray[np.float64]:
        return edge_weights(self.options.weights, edges, self._known, self.options.matrix)

    def _reweighted(self, edges: Edges, heard: Present, there: Present, gamma: float) -> Mixing:
        """Return a step with the weights of the links that are up in it."""
        live = edges.live(heard, self.options.weights.symmetric)
        said = live.degrees * _ID_BYTES  # whom a device hears, told to all that hear it
        self._told += np.bincount(edges.source[heard], minlength=self.devices) * said
        return Mixing.gossip(
            live, self._weights(live), np.ones_like(live.to, np.bool_), there, gamma
        )

    def _shared_out(
        self,
        edges: Edges,
        weights: NDArray[np.float64],
        heard: Present,
        there: Present,
        gamma: float,
    ) -> Mixing:
        """Return a step in which what did not arrive stays with its sender, who is told."""
        count = self.devices
        said = np.bincount(edges.to[heard], minlength=count) * _ID_BYTES
        self._told += np.bincount(edges.to[there[edges.source]], minlength=count) * said
        sent = np.bincount(edges.source[heard], weights[heard], count).astype(np.float64)
        kept = np.where(heard, weights, 0.0)
        return Mixing.gossip(edges, kept, heard, there, gamma, own=1 - sent)

    def _links(self, round_number: int, step: int) -> nx.Graph:
        """Return the graph of a step, whose edges are kept while it stays the same one."""
        graph = self.schedule.links(round_number, step, max(self.options.consensus_steps, 1))
        if self._edges[0] is not graph:
            self._edges = (graph, Edges.of(graph))
        return graph

    def _present(self, round_number: int) -> NDArray[np.bool_]:
        there = self.options.links.present(np.arange(self.devices), round_number)
        return np.array(np.broadcast_to(there, (self.devices,)))
