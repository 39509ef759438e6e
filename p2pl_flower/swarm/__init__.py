"""The swarm: all devices' models as one stacked tensor, trained and mixed together.

It needs PyTorch, but neither Flower nor Ray.
"""

from __future__ import annotations

from .api import simulate
from .engine import Swarm
from .job import Job
from .options import PRECISIONS, Machine, TrainOptions
from .plans import Averaging, Gossip, Plan
from .result import Result

__all__ = [
    "PRECISIONS",
    "Averaging",
    "Gossip",
    "Job",
    "Machine",
    "Plan",
    "Result",
    "Swarm",
    "TrainOptions",
    "simulate",
]
