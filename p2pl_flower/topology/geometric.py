"""Devices with a place: who is near enough can talk, standing still or moving."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log, pi, sqrt

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..seeding import Stream, uniform
from .checks import check_devices, check_round, connected_sample, number, settle
from .schedules import Schedule

_SIDES = "side lengths of the square"


def random_geometric(n: int, radius: float, seed: int = 0) -> nx.Graph:
    """Return a connected graph of devices at random places, linked where they are near.

    Places are uniform in the unit square; two devices are linked where their distance is
    at most ``radius``. Node attribute ``pos`` holds the place (x, y). Graphs become
    connected at about radius = sqrt(ln(n) / (pi n)).

    Parameters
    ----------
    n : int
        Number of devices, at least 1.
    radius : float
        Radio range in side lengths of the square, above 0.
    seed : int
        Seed of everything.

    Raises
    ------
    TopologyError
        ``radius`` is out of range, or none of the draws was connected.

    References
    ----------
    M. Penrose, "Random Geometric Graphs", Oxford University Press, 2003.
    """
    n, radius = check_devices(n), number("radius", radius, "(0, inf]", _SIDES)
    threshold = sqrt(log(n) / (pi * n))
    advice = (
        "use a larger radius: graphs become connected at about "
        f"sqrt(ln(n)/(pi n)) = {threshold:.3g}"
    )

    def draw(drawn_seed: int) -> nx.Graph:
        return in_range(np.random.default_rng(drawn_seed).random((n, 2)), radius)

    return connected_sample(draw, seed, "radius", radius, advice)


@dataclass(frozen=True)
class RandomWaypoint(Schedule):
    """Moving devices: each walks straight to a random place, rests, and picks the next.

    All walk at ``speed``; two are linked while their distance is at most ``radius``.
    Round t shows time t - 1, so that round 1 shows the first places, which are uniform;
    later ones crowd towards the middle, as is known of this model. Node attribute
    ``pos`` holds the place (x, y). A single round's graph may be disconnected.

    Parameters
    ----------
    n : int
        Number of devices, at least 1.
    radius : float
        Radio range in side lengths of the square, above 0.
    speed : float
        Side lengths per round, in (0, 1].
    pause : float
        Rest at every place after the first, in rounds, at least 0.
    seed : int
        Seed of everything.

    Raises
    ------
    TopologyError
        An argument is out of range.

    References
    ----------
    D. B. Johnson and D. A. Maltz, "Dynamic source routing in ad hoc wireless networks",
    in: Mobile Computing, Kluwer, 1996.
    C. Bettstetter, G. Resta and P. Santi, "The node distribution of the random waypoint
    mobility model for wireless ad hoc networks", IEEE Trans. Mobile Computing 2, 2003.
    """

    n: int
    radius: float
    speed: float
    pause: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        settle(
            self,
            radius=number("radius", self.radius, "(0, inf]", _SIDES),
            speed=number("speed", self.speed, "(0, 1]", "side lengths per round"),
            pause=number("pause", self.pause, "[0, inf)", "rounds"),
        )

    def graph(self, round_number: int) -> nx.Graph:
        """Return the links of a round, counted from 1."""
        check_round(round_number)
        return _snapshot(self, round_number)

    def positions(self, round_number: int) -> NDArray[np.float64]:
        """Return where the devices are in a round: shape (n, 2), in side lengths."""
        check_round(round_number)
        time = float(round_number - 1)
        places, travel, ends = self._itinerary(time)
        leg = (ends <= time).sum(axis=1)
        device = np.arange(self.n)
        start = np.where(leg > 0, ends[device, leg - 1], 0.0)
        share = np.minimum((time - start) / travel[device, leg], 1.0)[:, np.newaxis]
        here, there = places[device, leg], places[device, leg + 1]
        return np.asarray(here + share * (there - here), dtype=np.float64)

    def _itinerary(self, time: float) -> tuple[NDArray[np.float64], ...]:
        """Return places (n, L+1, 2), travel times (n, L) and ends of L legs, beyond ``time``."""
        legs = 16
        while True:
            places = self._places(legs + 1)
            distance = np.linalg.norm(np.diff(places, axis=1), axis=2)
            travel = np.maximum(distance / self.speed, np.finfo(float).tiny)
            ends = np.cumsum(travel + self.pause, axis=1)
            if (ends[:, -1] > time).all():
                return places, travel, ends
            legs *= 2

    def _places(self, count: int) -> NDArray[np.float64]:
        device, place, axis = np.ogrid[: self.n, :count, :2]
        return uniform(self.seed, Stream.GRAPH, device, place, axis)


def in_range(positions: NDArray[np.float64], radius: float) -> nx.Graph:
    """Return the graph that links places at most ``radius`` apart, shape (n, 2), with ``pos``.

    NumPy alone, so that machines with and without SciPy agree (networkx would use it).
    """
    graph = nx.Graph()
    graph.add_nodes_from((i, {"pos": (x, y)}) for i, (x, y) in enumerate(positions.tolist()))
    distance = np.linalg.norm(positions[:, np.newaxis] - positions[np.newaxis], axis=2)
    graph.add_edges_from(np.argwhere(np.triu(distance <= radius, k=1)).tolist())
    return graph


@lru_cache(maxsize=8)
def _snapshot(schedule: RandomWaypoint, round_number: int) -> nx.Graph:
    return nx.freeze(in_range(schedule.positions(round_number), schedule.radius))
