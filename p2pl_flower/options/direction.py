"""Algorithms and weights that need links which work both ways are refused on one-way ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..algorithms import ALGORITHMS
from ..config import described_text
from ..errors import TopologyError
from ..weights import WEIGHTS
from .algorithm import Options

if TYPE_CHECKING:
    from ..topology import Schedule


def check_direction(options: Options, schedule: Schedule) -> None:
    """Refuse a directed graph for what needs links that work both ways.

    Raises
    ------
    TopologyError
        Names the algorithm, or the weights, and what to take instead.
    """
    if not (schedule.directed or schedule.graph(1).is_directed()):
        return
    if options.algorithm.symmetric_weights:
        name = described_text(options.algorithm, ALGORITHMS)
        rule = f"has one-way links, and algorithm={name!r} needs symmetric ones: take 'push-sum'"
        raise TopologyError("topology", str(schedule), rule)
    if options.weights.symmetric:
        name = described_text(options.weights, WEIGHTS)
        rule = f"has one-way links, and weights={name!r} need symmetric ones: take 'uniform' or "
        rule += "'data-size', or 'out-degree' with algorithm='push-sum'"
        raise TopologyError("topology", str(schedule), rule)
