"""What a contender is to the swarm: who trains, and by which matrices models are mixed.

The round loop is the same for all. Peer to peer learning has a matrix for each consensus
step; federated averaging has one row for all, the data shares; centralized training is that
with a single device; training alone has no step, which is the identity.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..algorithms import Algorithm
from ..algorithms.codecs import Coder
from ..algorithms.mixing import MixingRule, Weighted
from ..algorithms.p2pl import P2PL
from ..algorithms.privacy import NOT_PRIVATE, Privacy
from ..config import take, within
from ..errors import ConfigError
from ..options import Options, check_direction, check_spectrum
from ..seeding import Stream, generator
from ..sharing import EVERYTHING, Sharing
from ..topology import Schedule
from ..weights import check_matrix
from .edges import Edges, edge_weights, keep_heard
from .hostile import NOBODY, Hostile
from .mixing import Mixing
from .synchronization import Start, flood

Ids = NDArray[np.int64]
Present = NDArray[np.bool_]

_ID_BYTES = np.dtype(np.int64).itemsize


class Plan(ABC):
    """Who trains when, and how models are mixed.

    Attributes
    ----------
    samples : NDArray[int64], shape (K,)
        Training samples of each device.
    seed : int
        Seed of everything.
    algorithm : Algorithm
        What devices train from, send, and make of what arrives.
    scope : str
        Which groups of tensors synchronization compares: ``model`` or ``tensor``.
    shared_start : bool
        Whether all devices start from device 0's draw.
    bounded : bool
        Whether norms of initial models are to be plausible.
    shared : Sharing
        Which tensors are mixed.
    mixing : MixingRule
        How messages are mixed.
    coder : Coder
        What is sent of them.
    privacy : Privacy
        What is done to trained models before anything of them is sent.
    hostile : Hostile
        Who lies to neighbors, in an experiment with attackers: they are never scored.
    """

    samples: Ids
    seed: int
    algorithm: Algorithm = P2PL()
    scope: str = "model"
    shared_start: bool = False
    bounded: bool = False
    shared: Sharing = EVERYTHING
    mixing: MixingRule = Weighted()
    coder: Coder = Coder()
    privacy: Privacy = NOT_PRIVATE
    hostile: Hostile = NOBODY

    @property
    def devices(self) -> int:
        """K."""
        return len(self.samples)

    @abstractmethod
    def start(self, norms: NDArray[np.float64], model_bytes: int) -> Start:
        """Return whose initial tensors each device begins with, and what it took.

        Parameters
        ----------
        norms : NDArray[float64], shape (K, G)
            L2 norm of each group of tensors that a device has drawn.
        model_bytes : int
            Size of a model in bytes.
        """

    @abstractmethod
    def trains(self, round_number: int) -> Ids:
        """Return the devices that train in a round, ascending. Rounds are asked in order."""

    @abstractmethod
    def mixings(self, round_number: int) -> Iterator[Mixing]:
        """Return the consensus steps of a round, after training."""

    @abstractmethod
    def scored(self, round_number: int) -> Ids:
        """Return the devices whose models are scored after consensus."""

    @abstractmethod
    def traffic(self, sent: Ids, round_number: int, message_bytes: int) -> Mapping[str, int]:
        """Return the bytes of a round, as named in `p2pl_flower.history.Round`.

        Parameters
        ----------
        sent : NDArray[int64], shape (K,)
            Bytes that each device sent to others.
        round_number : int
            The round.
        message_bytes : int
            Size of a message in bytes.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what must be the same for a checkpoint to be continued."""


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
        self.privacy = self.options.privacy
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
        options, there = self.options, self._present(round_number)
        self._told = np.zeros_like(self.samples)
        gamma = options.consensus_gamma * options.algorithm.mixing_step
        graph: Any = None
        for step in range(1, options.consensus_steps + 1):
            before, graph = graph, self._links(round_number, step)
            if graph is not before:
                edges = self._edges[1].where(there[self._edges[1].to])
                weights = self._weights(edges)
            up = options.links.up(edges.to, edges.source, round_number, step)
            heard = np.broadcast_to(up, edges.to.shape) & there[edges.source]
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
        sizes = sent + self._told
        return {
            "bytes_sent": int(sizes.sum()),
            "bytes_sent_busiest": int(sizes.max()),
            "bytes_through_server": 0,
        }

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


@dataclass
class Averaging(Plan):
    """Federated averaging: a server averages the models of all devices, or of a sample.

    Parameters
    ----------
    samples : NDArray[int64], shape (K,)
        Training samples of each device, by whose shares models are averaged.
    fraction : float
        Share of the devices that train in a round, in (0, 1]; one at least.
    seed : int
        Seed of everything; which devices are sampled follows from it.
    """

    samples: Ids
    fraction: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        self.samples = np.asarray(self.samples, dtype=np.int64)
        self.shared_start = True
        self.fraction = take("fraction-train", self.fraction, float, within("(0, 1]"))

    def start(self, norms: NDArray[np.float64], model_bytes: int) -> Start:
        """Give device 0's draw to all: the server sends it along in round 1."""
        return Start(np.zeros(norms.shape, dtype=np.int64), {})

    def trains(self, round_number: int) -> Ids:
        """Return a random sample of ``fraction`` of the devices."""
        count = max(1, int(self.fraction * self.devices))
        draw = generator(self.seed, Stream.SAMPLE, round_number)
        return np.sort(draw.choice(self.devices, count, replace=False)).astype(np.int64)

    def mixings(self, round_number: int) -> Iterator[Mixing]:
        """Return the one average of those that trained."""
        chosen = self.trains(round_number)
        weights = np.zeros(self.devices)
        weights[chosen] = self.samples[chosen] / self.samples[chosen].sum()
        yield replace(Mixing.average(weights), moment=(round_number, 0))

    def scored(self, round_number: int) -> Ids:
        """Return one device: all hold the same model."""
        return np.zeros(1, dtype=np.int64)

    def traffic(self, sent: Ids, round_number: int, message_bytes: int) -> Mapping[str, int]:
        """Count a model from and to the server for each device that trains."""
        one_way = len(self.trains(round_number)) * message_bytes
        return {
            "bytes_sent": 2 * one_way,
            "bytes_sent_busiest": one_way,
            "bytes_through_server": 2 * one_way,
        }

    def describe(self) -> dict[str, Any]:
        """Return the fraction and the seed."""
        return {"fraction-train": self.fraction, "seed": self.seed}
