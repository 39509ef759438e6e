"""Rules, links and functions of a user's own, where devices can import them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import numpy as np
from torch import nn

from p2pl_flower.algorithms import Algorithm
from p2pl_flower.links import Bernoulli, Links
from p2pl_flower.weights import Metropolis, WeightRule


class Deaf(Metropolis):
    """Listens to nobody."""

    def row(self, own, neighbors):
        return {j.id: 0.0 for j in neighbors}


@dataclass(frozen=True)
class Never(Bernoulli):
    """Is never up after the start, whatever its rate."""

    def up(self, i, j, round_number, step):
        shape = np.broadcast_shapes(*map(np.shape, (i, j, round_number, step)))
        return np.broadcast_to(np.asarray(step) == 0, shape)


@dataclass(frozen=True)
class Fixed(WeightRule):
    """One weight for every neighbor: a rule with a name of its own."""

    share: float
    halved: bool = False

    def row(self, own, neighbors):
        return {j.id: self.share / (2 if self.halved else 1) for j in neighbors}

    @cached_property
    def looked_up(self):
        return 1


class Plain(Links):
    """No dataclass, and no state."""

    def up(self, i, j, round_number, step):
        return np.ones(np.broadcast_shapes(*map(np.shape, (i, j, round_number, step))), np.bool_)


class Labelled(Bernoulli):
    """Hides state from its fields."""

    def __init__(self, up_rate, seed=0, label="x"):
        super().__init__(up_rate, seed)
        object.__setattr__(self, "_label", label)


class Counting(WeightRule):
    """Has a field that is no number."""

    def __init__(self, table=()):
        self.table = dict(table)

    def row(self, own, neighbors):
        return self.table


class Slotted(WeightRule):
    """Keeps its state in slots."""

    __slots__ = ("_hidden", "share")

    def __init__(self, share: float = 0.5):
        self.share, self._hidden = share, 0

    def row(self, own, neighbors):
        return {j.id: self.share for j in neighbors}


def smallest(own, neighbors):
    """Listen to the neighbor of the smallest id alone."""
    return {min(n.id for n in neighbors): 0.5}


def even_rounds(i, j, round_number, step):
    return (np.asarray(round_number) % 2 == 0) & (i >= 0)


def bridged(n, width: int = 1, seed=0):
    """Return two rings with ``width`` links between them."""
    half = n // 2
    graph = nx.disjoint_union(nx.cycle_graph(half), nx.cycle_graph(n - half))
    graph.add_edges_from((i, half + i) for i in range(width))
    return graph


def clumsy(n, width, seed=0):
    return nx.cycle_graph(n)


def listed(n):
    return [n]


QUARTER = Fixed(0.25)
unnamed = lambda own, neighbors: {}  # noqa: E731


@dataclass(frozen=True)
class Averaging(Algorithm):
    """Is found outside of the library."""


def squares(side: int = 4):
    """Return bright and dark images, as bytes."""
    y = np.arange(40) % 2
    x = (np.ones((40, 1, side, side)) * (50 + 100 * y)[:, None, None, None]).astype(np.uint8)
    return x[:30], y[:30], x[30:], y[30:]


def ragged():
    return np.ones((4, 2)), np.zeros(3, int), np.ones((2, 2)), np.zeros(2, int)


def few():
    return np.ones((4, 2)), np.zeros(4, int)


class Recurrent(nn.Module):
    """Has layers that draw themselves."""

    def __init__(self, shape, classes, width: int = 3):
        super().__init__()
        self.cell = nn.GRU(shape[1] * shape[2], width, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.cell(x.flatten(2))[0][:, -1])


def share_of_zeros(outputs, targets):
    """Return the share of samples of class 0 that are taken for one, or are none: a metric."""
    return float(((outputs.argmax(1) == 0) == (targets == 0)).float().mean())
