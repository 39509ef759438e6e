"""How a device makes one message of its own and its neighbors': by weights, or more warily."""

from __future__ import annotations

from ...config import Table
from .base import MixingRule, Weighted
from .clipping import ClippedGossip
from .coordinates import Median, TrimmedMean
from .krum import Krum

__all__ = [
    "MIXINGS",
    "ClippedGossip",
    "Krum",
    "Median",
    "MixingRule",
    "TrimmedMean",
    "Weighted",
]

MIXINGS: Table[MixingRule] = Table(
    "mixing",
    {
        "weighted": Weighted,
        "clipped-gossip": ClippedGossip,
        "trimmed-mean": TrimmedMean,
        "median": Median,
        "krum": Krum,
    },
    group="p2pl_flower.mixings",
    base=(MixingRule,),
)
