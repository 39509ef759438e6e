"""Options that several engines and files have: of the algorithm, and of a run."""

from __future__ import annotations

from .algorithm import Options
from .direction import check_direction
from .loggers import (
    LOGGERS,
    LOGGERS_KEY,
    Logger,
    Loggers,
    RoundFunction,
    Told,
    check_loggers,
    told,
)
from .run import CONNECT_TIMEOUT, MIN_AVAILABLE_NODES, NUM_DEVICES, ROUNDS, TOPOLOGY
from .scored_rounds import (
    EVALUATE_EVERY,
    EVALUATE_TRAINED,
    FRACTION_EVALUATE,
    ScoredRounds,
)
from .spectrum import check_spectrum
from .spending import Spending, check_accountant

__all__ = [
    "CONNECT_TIMEOUT",
    "EVALUATE_EVERY",
    "EVALUATE_TRAINED",
    "FRACTION_EVALUATE",
    "LOGGERS",
    "LOGGERS_KEY",
    "MIN_AVAILABLE_NODES",
    "NUM_DEVICES",
    "ROUNDS",
    "TOPOLOGY",
    "Logger",
    "Loggers",
    "Options",
    "RoundFunction",
    "ScoredRounds",
    "Spending",
    "Told",
    "check_accountant",
    "check_direction",
    "check_loggers",
    "check_spectrum",
    "told",
]
