"""What a contender is: a name, and how it runs on a Flower grid and in the swarm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from flwr.app import ArrayRecord, MetricRecord
from flwr.serverapp import Grid

from p2pl_flower import P2PL, Relay
from p2pl_flower.history import Round, Run
from p2pl_flower.options import Clock, Options
from p2pl_flower.swarm.plans import Gossip, Plan
from p2pl_flower.topology import schedule


@dataclass(frozen=True)
class Task:
    """What all contenders of a comparison are given alike.

    Attributes
    ----------
    devices : int or None
        K; None for as many as there are nodes.
    rounds, evaluate_every : int
        Rounds to run, and how often all models are scored.
    evaluate_trained : bool
        Whether they are scored after training too, or only after consensus.
    fraction_evaluate : float
        Share of the devices whose models are scored.
    topology : str
        Name of the graph, for those that have one.
    options : Mapping[str, Any]
        Keyword options of `P2PL`.
    seed : int
        Seed of everything.
    initial_arrays : ArrayRecord
        A start drawn from the seed, for those with a common one.
    evaluate : Callable[[ArrayRecord], MetricRecord]
        Scores a model on the whole test set.
    on_round : Callable[[Round], None], optional
        Called at the end of every round.
    on_result : Callable[[ArrayRecord], None], optional
        Called at the end with the trained model: the mean of those of all devices.
    fraction_train : float
        Share of the devices that train in a round, where a server picks them.
    relay : Relay, str or None
        How models move from device to device; None is `P2PL`'s own choice.
    server_gone : range
        Rounds in which the server is gone, where there is one.
    clock : Clock or None
        What simulated time is counted by.
    timeout, connect_timeout : float
        Seconds to wait for replies, and for nodes.
    """

    devices: int | None
    rounds: int
    evaluate_every: int
    topology: str
    options: Mapping[str, Any]
    seed: int
    initial_arrays: ArrayRecord
    evaluate: Callable[[ArrayRecord], MetricRecord]
    evaluate_trained: bool = True
    fraction_evaluate: float = 1.0
    on_round: Callable[[Round], None] | None = None
    on_result: Callable[[ArrayRecord], None] | None = None
    fraction_train: float = 1.0
    relay: Relay | str | None = None
    server_gone: range = range(0)
    clock: Clock | None = None
    timeout: float = 3600.0
    connect_timeout: float = 60.0


class Contender(ABC):
    """One way to train."""

    name: ClassVar[str]

    def devices(self, wanted: int) -> int:
        """Return the number of devices that the contender trains on."""
        return wanted

    @abstractmethod
    def run(self, grid: Grid, task: Task) -> Run:
        """Train on the grid's nodes and return what was measured."""

    @abstractmethod
    def plan(self, task: Task, samples: Sequence[int]) -> Plan:
        """Return what the contender is to the swarm, given each device's number of samples."""


@dataclass
class PeerToPeer(Contender):
    """P2PL with some options set by the contender rather than by the task."""

    changes: Mapping[str, Any] = field(default_factory=dict)

    def options(self, task: Task) -> dict[str, Any]:
        """Return the options of P2PL: the task's, with the contender's own changes."""
        return {**task.options, "seed": task.seed, **self.changes}

    def plan(self, task: Task, samples: Sequence[int]) -> Plan:
        """Return gossip over the task's graph."""
        options = Options(**self.options(task))
        counts = np.asarray(samples, dtype=np.int64)
        return Gossip(schedule(task.topology, len(counts), task.seed), options, counts)

    def run(self, grid: Grid, task: Task) -> Run:
        """Train peer to peer."""
        strategy = P2PL(
            task.topology,
            **self.options(task),
            evaluate_every=task.evaluate_every,
            evaluate_trained=task.evaluate_trained,
            fraction_evaluate=task.fraction_evaluate,
            num_devices=task.devices,
            connect_timeout=task.connect_timeout,
            on_round=task.on_round,
            relay=task.relay,
            clock=task.clock,
        )
        result = strategy.start(grid, task.initial_arrays, task.rounds, task.timeout)
        if task.on_result is not None:
            task.on_result(result.arrays)
        devices = task.devices or len(list(grid.get_node_ids()))
        return Run(self.name, "flower", task.seed, devices, strategy.setup, strategy.rounds)


class ByAlgorithm(PeerToPeer):
    """The algorithm of a text, under that text's name; after ``@`` its codec, and that's memory.

    Parameters
    ----------
    text : str
        Such as ``exact-diffusion``, ``p2pl-affinity:strength=0.5``, ``choco@low-bit:bits=2`` or
        ``led@low-bit@public-copies``.

    Raises
    ------
    ConfigError
        There are no such ones.
    """

    def __init__(self, text: str) -> None:
        parts = ("algorithm", "codec", "codec_memory")
        given = text.split("@", len(parts) - 1)
        super().__init__(dict(zip(parts, given, strict=False)))
        Options(**self.changes)
        self.name = text  # type: ignore[misc]
