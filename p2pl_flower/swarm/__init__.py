"""The swarm: all devices' models as one stacked tensor, trained and mixed together.

It needs PyTorch, but not Flower, and Ray only where it runs on several machines or GPUs.
"""

from __future__ import annotations

from .api import simulate
from .cluster import RayCluster
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
    "RayCluster",
    "Result",
    "Swarm",
    "TrainOptions",
    "simulate",
]
