"""What Flower's rounds took by the simulated clock, and what radios would have sent in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from ..history import Round
from ..options import Options, Step, Timing, step_of, transmitted
from ..topology import Schedule
from ..topology.neighborhood import directions

Trained = Mapping[int, float]
"""The samples of the devices that trained in a round."""


class RunClock:
    """Counts a run's time, each round as soon as it is known what was sent in it.

    Parameters
    ----------
    timing : Timing or None
        What counts it; None for nobody.
    schedule : Schedule
        The graph of each round.
    options : Options
        Links and consensus steps.
    """

    def __init__(self, timing: Timing | None, schedule: Schedule, options: Options) -> None:
        self._timing, self._schedule, self._options = timing, schedule, options
        self._trained: dict[int, Trained] = {}
        self._told = 0

    def synchronized(self, setup: Mapping[str, int]) -> dict[str, float]:
        """Return what the start took, ``clock_seconds``; nothing where there is no clock."""
        if self._timing is None:
            return {}
        steps = []
        for number in range(1, setup["synchronization_steps"] + 1):
            graph = self._schedule.graph(number)
            to, source = directions(graph)
            up = np.broadcast_to(self._options.links.up(to, source, number, 0), to.shape)
            steps.append(step_of(graph, to, source, up))
        return {"clock_seconds": self._timing.synchronized(steps, setup["bytes_sent"])}

    def trained(self, number: int, samples: Trained) -> None:
        """Note who has trained in a round, on how many samples."""
        self._trained[number] = dict(samples)

    def late(self, number: int) -> set[int]:
        """Return which of those that have trained in a round took too long for it."""
        trained = self._trained.get(number, {})
        if self._timing is None:
            return set()
        late = self._timing.late(number, _array(trained, self._schedule.n))
        return {device for device in np.flatnonzero(late).tolist() if device in trained}

    def tell(self, rounds: Iterable[Round], sent: Mapping[int, Mapping[int, int]]) -> None:
        """Note in rounds what they took, given the bytes that each device sent in them."""
        for measured in list(rounds)[self._told :]:
            self._told += 1
            self._tell(measured, sent.get(measured.round, {}))

    def _tell(self, measured: Round, sent: Mapping[int, int]) -> None:
        if self._timing is None and not self._options.may_lose:
            return
        count, number = self._schedule.n, measured.round
        sizes, samples = _array(sent, count), _array(self._trained.get(number, {}), count)
        trained = np.array(sorted(self._trained.get(number, {})), dtype=np.int64)
        steps = self._steps(number, trained)
        if self._options.may_lose:
            measured.bytes_transmitted = transmitted(steps, sizes)
        if self._timing is not None:
            measured.clock = self._timing.gossip(number, trained, samples, steps, sizes)

    def _steps(self, number: int, trained: NDArray[np.int64]) -> list[Step]:
        """Return the messages of each consensus step, between devices that have trained."""
        there = np.zeros(self._schedule.n, dtype=np.bool_)
        there[trained] = True
        late = np.zeros_like(there)
        late[list(self.late(number))] = True
        steps, links = [], self._options.links
        for step in range(1, self._options.consensus_steps + 1):
            graph = self._schedule.links(number, step, self._options.consensus_steps)
            to, source = directions(graph)
            tried = np.broadcast_to(links.tried(to, source, number, step), to.shape)
            sent = tried & there[to] & there[source]
            to, source = to[sent], source[sent]
            up = np.broadcast_to(links.up(to, source, number, step), to.shape)
            steps.append(step_of(graph, to, source, up, late))
        return steps


def _array(values: Mapping[int, float], count: int) -> NDArray[np.float64]:
    """Return numbers by device as an array, shape (K,), 0 where there is none."""
    array = np.zeros(count)
    for device, value in values.items():
        array[device] = value
    return array
