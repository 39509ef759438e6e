"""Mixing weights: each device works out its own row from what its neighbors told it.

A row holds the weights a_kj that device k gives to its neighbors j; its own weight is
1 - sum_j a_kj, so that rows sum to 1 by construction ("singly stochastic").
"""

from __future__ import annotations

from ..specs import Table
from .matrices import check_matrix, mixing_matrix, spectral_gap, stationary_distribution
from .rows import MISSING_POLICIES, keep_answered, own_weight
from .rules import Custom, DataSize, Metropolis, Uniform, WeightRule

__all__ = [
    "MISSING_POLICIES",
    "WEIGHTS",
    "Custom",
    "DataSize",
    "Metropolis",
    "Uniform",
    "WeightRule",
    "check_matrix",
    "keep_answered",
    "mixing_matrix",
    "own_weight",
    "spectral_gap",
    "stationary_distribution",
]

# `Custom` is not a name for users: it needs their matrix, which says it all.
WEIGHTS: Table[WeightRule] = Table(
    "weights", {rule.name: rule for rule in (Metropolis, Uniform, DataSize)}
)
