"""Options that several engines and files have: of the algorithm, and of a run."""

from __future__ import annotations

from ..links.clock import Pairwise, Step
from .algorithm import Options
from .asynchronous import check_asynchronous
from .clock import Clock, Timing, elapsed, number_count, step_of, transmitted
from .direction import check_direction
from .loggers import (
    LOGGERS,
    LOGGERS_KEY,
    Logger,
    Loggers,
    RoundFunction,
    Told,
    check_loggers,
    end,
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
    "Clock",
    "Logger",
    "Loggers",
    "Options",
    "Pairwise",
    "RoundFunction",
    "ScoredRounds",
    "Spending",
    "Step",
    "Timing",
    "Told",
    "check_accountant",
    "check_asynchronous",
    "check_direction",
    "check_loggers",
    "check_spectrum",
    "elapsed",
    "end",
    "number_count",
    "step_of",
    "told",
    "transmitted",
]
