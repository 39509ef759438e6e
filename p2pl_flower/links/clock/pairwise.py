"""The arithmetic of the clock where nobody waits for rounds: trainings, and pairs that exchange."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .stopwatch import Lap, Stopwatch

Floats = NDArray[np.float64]


class Pairwise:
    r"""Counts what devices do one by one, each in its own time.

    Two devices that exchange messages of b bytes take :math:`b / \min(r_k s, d_j)` one way and
    :math:`b / \min(r_j s, d_k)` the other, at once, or one after the other where radios are
    half-duplex, with the link's latency for each. Who has asked for it waits; the other one's
    radio does it beside what it is at.

    Parameters
    ----------
    watch : Stopwatch
        What rates and speeds are taken from.
    """

    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch
        self._clear()

    def trains(self, device: int, operations: float, round_number: int) -> float:
        """Return how long a device computes, which counts as busy."""
        watch = self._watch
        [seconds] = watch.training_seconds(np.array([device]), np.array([operations]), round_number)
        self._busy[device] += seconds
        self._joules[device] += operations * (watch.compute.joules or 0.0)
        return float(seconds)

    def exchange(self, device: int, other: int, size: float, distance: float, heard: bool) -> float:
        """Return how long a device takes to exchange messages with another, or to send in vain.

        Parameters
        ----------
        device, other : int
            Who asks for it, and whom.
        size : float
            Bytes of each message.
        distance : float
            Between the two, in sides of the square; NaN where nothing lies anywhere.
        heard : bool
            Whether they reach each other; else the one that asks sends, and goes on.
        """
        network = self._watch.network
        there, back = self._sending(device, other, distance), self._sending(other, device, distance)
        self._spend(device, size * there, size, size if heard else 0.0)
        if not heard:
            return size * there
        self._spend(other, size * back, size, size)
        [delay] = network.latency(np.array([other]), np.array([device]))
        both = size * (there + back) if network.half_duplex else size * max(there, back)
        took = float(both + (2 if network.half_duplex else 1) * delay)
        self._waiting[device] += took - size * there
        return took

    def lap(self, seconds: float) -> Lap:
        """Return what was done since the last time, while so many seconds went by."""
        stated = self._watch.counts_energy
        lap = Lap(seconds, self._busy, self._waiting, self._joules if stated else None)
        self._clear()
        return lap

    def _sending(self, source: int, to: int, distance: float) -> float:
        """Return the seconds that a byte takes from one device to another."""
        share = float(self._watch.network.share(np.array([distance]))[0])
        return float(1 / min(self._watch.up[source] * share, self._watch.down[to]))

    def _spend(self, device: int, seconds: float, sent: float, received: float) -> None:
        network = self._watch.network
        self._busy[device] += seconds
        self._joules[device] += sent * (network.joules_sent or 0.0)
        self._joules[device] += received * (network.joules_received or 0.0)

    def _clear(self) -> None:
        count = self._watch.devices
        self._busy, self._waiting, self._joules = np.zeros(count), np.zeros(count), np.zeros(count)
