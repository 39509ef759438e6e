"""Other random peers in every step: Epidemic Learning, and regular graphs drawn anew.

References
----------
M. de Vos, S. Farhadkhani, R. Guerraoui, A.-M. Kermarrec, R. Pires and R. Sharma, "Epidemic
Learning: Boosting Decentralized Learning with Randomized Communication", arXiv 2310.01972.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import networkx as nx

from ..errors import TopologyError
from ..seeding import Stream, derive
from .checks import check_devices, check_round, integer, settle
from .directed import check_listeners, sent_at_random
from .random_graphs import random_regular
from .schedules import Schedule


@dataclass(frozen=True)
class EpidemicLocal(Schedule):
    """EL-Local: in each consensus step every device sends to ``s`` others that it draws itself.

    Links are one-way, and how many a device hears is random, none at all with probability
    (1 - s / (n - 1))^(n - 1). With `Uniform` weights it averages what it hears with its own, as
    in the paper, in which a round has one step.

    Parameters
    ----------
    n : int
        Number of devices, at least 2.
    s : int
        How many a device sends to, 1 <= s < n.
    per_step : bool
        Whether all steps of a round have draws of their own, or the same one.
    seed : int
        Seed of everything.

    Raises
    ------
    TopologyError
        An argument is out of range.
    """

    n: int
    s: int
    per_step: bool = True
    seed: int = 0
    directed = True

    def __post_init__(self) -> None:
        settle(self, s=check_listeners(check_devices(self.n, least=2), self.s))

    def graph(self, round_number: int) -> nx.DiGraph:
        """Return the links of a number in the stream, counted from 1."""
        check_round(round_number)
        return _sent(self.n, self.s, self.seed, round_number)


@dataclass(frozen=True)
class RandomRegular(Schedule):
    """In each consensus step another random graph in which every device has ``d`` neighbors.

    A single one may be disconnected, which `regular` graphs, drawn once, are not.

    Parameters
    ----------
    n : int
        Number of devices, at least 2.
    d : int
        Degree of every device, 1 <= d < n; ``n * d`` must be even.
    per_step : bool
        Whether all steps of a round have graphs of their own, or the same one.
    seed : int
        Seed of everything.

    Raises
    ------
    TopologyError
        An argument is out of range, or no such graph exists.
    """

    n: int
    d: int
    per_step: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        n, d = check_devices(self.n, least=2), integer("d", self.d, 1)
        if d >= n:
            raise TopologyError("d", d, f"must be less than n={n}")
        if n * d % 2:
            raise TopologyError("d", d, f"n * d must be even, and n={n} is odd")
        settle(self, d=d)

    def graph(self, round_number: int) -> nx.Graph:
        """Return the links of a number in the stream, counted from 1."""
        check_round(round_number)
        return _regular(self.n, self.d, self.seed, round_number)


def epidemic_oracle(n: int, s: int, per_step: bool = True, seed: int = 0) -> RandomRegular:
    """Return EL-Oracle: who hears whom is drawn for all, so that each has ``s`` both ways.

    It is `RandomRegular` with d = s: that the oracle's graphs are undirected is our reading. The
    common seed is the oracle.

    Parameters
    ----------
    n, s, per_step, seed
        As for `RandomRegular`, with ``s`` for ``d``.

    Raises
    ------
    TopologyError
        As there, about ``s``.
    """
    try:
        return RandomRegular(n, s, per_step, seed)
    except TopologyError as error:
        if error.argument != "d":
            raise
        raise TopologyError("s", s, error.rule.replace("n * d", "n * s")) from None


@lru_cache(maxsize=64)
def _sent(n: int, s: int, seed: int, number: int) -> nx.DiGraph:
    return nx.freeze(sent_at_random(n, s, seed, number))


@lru_cache(maxsize=64)
def _regular(n: int, d: int, seed: int, number: int) -> nx.Graph:
    return nx.freeze(random_regular(n, d, derive(seed, Stream.GRAPH, number)))
