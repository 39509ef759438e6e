"""The arithmetic of the clock: when devices are done with what they do, and wait for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .compute import Compute
from .network import Network

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """The messages of one consensus step: entry e goes from ``source[e]`` to ``to[e]``.

    Attributes
    ----------
    to, source : NDArray[int64], shape (E,)
        The two ends, in ascending order of (to, source).
    heard : NDArray[bool], shape (E,)
        Whether it arrived; what did not was sent all the same.
    distance : NDArray[float64], shape (E,)
        From one end to the other, in sides of the square; NaN where nothing lies anywhere.
    in_vain : NDArray[int64]
        Which devices wait until the deadline for a neighbor that is late, whose message is not
        among these.
    """

    to: Ids
    source: Ids
    heard: Mask
    distance: Floats
    in_vain: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True)
class Lap:
    """What a round took.

    Attributes
    ----------
    seconds : float
        From the end of the last round, on the last device, to the end of this one.
    busy, waiting : NDArray[float64], shape (K,)
        Seconds in which each device computed and sent, and in which it waited.
    joules : NDArray[float64] of shape (K,), or None
        What it took of energy.
    """

    seconds: float
    busy: Floats
    waiting: Floats
    joules: Floats | None


class Stopwatch:
    r"""Each device's own time: nobody waits for more than its own neighbors.

    Training of n operations takes :math:`n / c_k`. In a consensus step a device sends its messages
    one after the other over its uplink: the m-th of size b leaves at
    :math:`t_j + m b / (r_j s_{kj})`, with s the share of the rate that its distance leaves, and is
    there after the link's latency. A device goes on when all that was sent to it and did arrive is
    there, no sooner than its downlink could carry that, and when its own messages are out.

    Parameters
    ----------
    network : Network
        What the links carry.
    compute : Compute
        How quickly devices compute.
    devices : int
        K.

    Attributes
    ----------
    now : NDArray[float64], shape (K,)
        Each device's time in seconds.
    network, compute
        As given.
    up, down : NDArray[float64], shape (K,)
        Bytes a second that devices send and receive.
    """

    def __init__(self, network: Network, compute: Compute, devices: int) -> None:
        self.network, self.compute, everybody = network, compute, np.arange(devices)
        self.up, self.down = network.up(everybody), network.down(everybody)
        self.now, self._busy = np.zeros(devices), np.zeros(devices)
        self._began, self._end = np.zeros(devices), 0.0
        self._joules: Floats | None = None
        stated = (network.joules_sent, network.joules_received, compute.joules)
        if any(value is not None for value in stated):
            self._joules = np.zeros(devices)

    @property
    def counts_energy(self) -> bool:
        """Whether anything states what it takes of energy."""
        return self._joules is not None

    @property
    def devices(self) -> int:
        """K."""
        return len(self.now)

    def set(self, now: Floats) -> None:
        """Go on from each device's time, shape (K,), at the end of a round."""
        self.now, self._began, self._end = now.copy(), now.copy(), float(now.max())

    def training_seconds(self, devices: Ids, operations: Floats, round_number: int) -> Floats:
        """Return how long devices compute, each so many operations."""
        return np.asarray(operations / self.compute.speed_of(devices, round_number))

    def train(self, devices: Ids, operations: Floats, round_number: int) -> None:
        """Let devices compute, each so many operations."""
        self.spend(devices, self.training_seconds(devices, operations, round_number))
        self.charge(devices, operations * (self.compute.joules or 0.0))

    def spend(self, devices: Ids, seconds: Floats) -> None:
        """Let devices be busy for some seconds, each in its own time."""
        self.now[devices] += seconds
        self._busy[devices] += seconds

    def charge(self, devices: Ids, joules: Floats) -> None:
        """Count what it takes of energy, where anything states it."""
        if self._joules is not None:
            np.add.at(self._joules, devices, joules)

    def exchange(self, step: Step, sizes: Floats, deadline: float = 0.0) -> None:
        """Let devices send each other messages, and wait for those that arrive.

        Parameters
        ----------
        step : Step
            The messages.
        sizes : NDArray[float64], shape (K,)
            Bytes of each message by its sender.
        deadline : float
            Seconds from the beginning of a device's round until which it waits for who is late.
        """
        waited = self.now.copy()
        waited[step.in_vain] = (self._began + deadline)[step.in_vain]
        self._send(step, sizes)
        self.now = np.maximum(self.now, waited)

    def _send(self, step: Step, sizes: Floats) -> None:
        if not len(step.to):
            return
        size, start = sizes[step.source], self.now
        takes = size / (self.up[step.source] * self.network.share(step.distance))
        leaves = start[step.source] + _one_after_the_other(takes, step.source)
        there = leaves + self.network.latency(step.to, step.source)
        sending = np.bincount(step.source, takes, self.devices)
        heard = step.heard
        to, source = step.to[heard], step.source[heard]
        carried = np.bincount(to, size[heard] / self.down[to], self.devices)
        first = np.full(self.devices, np.inf)
        np.minimum.at(first, to, start[source] + self.network.latency(to, source))
        done = start + sending
        if self.network.half_duplex:
            done = done + carried
        np.maximum.at(done, to, there[heard])
        listening = np.isfinite(first)
        done[listening] = np.maximum(done, first + carried)[listening]
        self._busy += sending
        self.now = done
        self.charge(step.source, size * (self.network.joules_sent or 0.0))
        self.charge(to, size[heard] * (self.network.joules_received or 0.0))

    def serve(
        self, devices: Ids, down: Floats, up: Floats, operations: Floats, round_number: int
    ) -> None:
        """Let devices fetch a model from the server, train, and send theirs; all wait for all.

        The server's link is shared evenly by those that take part.

        Parameters
        ----------
        devices : NDArray[int64]
            Who takes part.
        down, up : NDArray[float64]
            Bytes that each of them receives and sends.
        operations : NDArray[float64]
            What it computes.
        round_number : int
            The round.
        """
        self.now[:] = self.now.max()  # the server begins when it has heard all
        server, count = self.network.server(), max(len(devices), 1)
        fetch = server.latency + down / np.minimum(self.down[devices], server.up / count)
        send = up / np.minimum(self.up[devices], server.down / count)
        self.now[devices] += fetch
        self.train(devices, operations, round_number)
        self.spend(devices, send)
        self.now[devices] += server.latency
        self.charge(devices, down * (self.network.joules_received or 0.0))
        self.charge(devices, up * (self.network.joules_sent or 0.0))
        self.now[:] = self.now.max()

    def lap(self) -> Lap:
        """End a round: return what it took since the last."""
        busy, passed = self._busy, self.now - self._began
        end = float(self.now.max())
        lap = Lap(end - self._end, busy, np.maximum(passed - busy, 0.0), self._joules)
        self._began, self._end, self._busy = self.now.copy(), end, np.zeros(self.devices)
        if self._joules is not None:
            self._joules = np.zeros(self.devices)
        return lap


def _one_after_the_other(takes: Floats, source: Ids) -> Floats:
    """Return when each message has left its sender, which sends one after the other."""
    order = np.argsort(source, kind="stable")
    total = np.cumsum(takes[order])
    firsts = np.flatnonzero(np.diff(source[order], prepend=-1))
    before = np.concatenate([[0.0], total])[firsts]
    counts = np.diff([*firsts, len(order)])
    left = np.empty_like(takes)
    left[order] = total - np.repeat(before, counts)
    return left
