"""Mixing weights: each device works out its own row from what its neighbors told it.

A row holds the weights a_kj that device k gives to its neighbors j; its own weight is
1 - sum_j a_kj, so that rows sum to 1 by construction ("singly stochastic").
"""

from __future__ import annotations

from ..config import Table
from .function import FunctionRule, WeightFunction
from .matrices import (
    MATRIX_FILE,
    check_matrix,
    mixing_edges,
    mixing_matrix,
    read_matrix,
    spectral_gap,
    stationary_distribution,
)
from .rows import (
    MISSING_POLICIES,
    REWEIGHT,
    keep_answered,
    own_weight,
    row_of,
    weaken_stale,
)
from .rules import (
    TOLERANCE,
    Custom,
    DataSize,
    Ends,
    FormulaRule,
    Metropolis,
    OutDegree,
    Uniform,
    WeightRule,
)
from .told import StepWeights, kept_share, live_row, told_weights

__all__ = [
    "MATRIX_FILE",
    "MISSING_POLICIES",
    "REWEIGHT",
    "TOLERANCE",
    "WEIGHTS",
    "Custom",
    "DataSize",
    "Ends",
    "FormulaRule",
    "FunctionRule",
    "Metropolis",
    "OutDegree",
    "StepWeights",
    "Uniform",
    "WeightFunction",
    "WeightRule",
    "check_matrix",
    "keep_answered",
    "kept_share",
    "live_row",
    "mixing_edges",
    "mixing_matrix",
    "needs_samples",
    "own_weight",
    "read_matrix",
    "row_of",
    "spectral_gap",
    "stationary_distribution",
    "told_weights",
    "weaken_stale",
]

WEIGHTS: Table[WeightRule] = Table(
    "weights",
    {
        "metropolis": Metropolis,
        "uniform": Uniform,
        "data-size": DataSize,
        "out-degree": OutDegree,
    },
    group="p2pl_flower.weights",
    base=(WeightRule,),
    wrap=FunctionRule,
)
"""`Custom` is not a name for users: it needs their matrix, which says it all."""


def needs_samples(rule: WeightRule) -> bool:
    """Return whether a rule may depend on the neighbors' numbers of samples."""
    return type(rule) not in (Metropolis, Uniform, OutDegree, Custom)
