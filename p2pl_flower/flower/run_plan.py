"""What a run is given: its strategy's settings, and what is known before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from flwr.app import ConfigRecord

from ..options import Clock, Options
from ..relay import Relay
from .mean_model import EvaluateFunction

_FOREVER = 3600.0


@dataclass(frozen=True)
class Plan:
    """What is known of a run before it begins: what ``start`` is given.

    Attributes
    ----------
    num_rounds : int
        Rounds to run; 0 where that is not known.
    timeout : float
        Seconds to wait for replies.
    evaluate_config : Mapping[str, Any]
        What evaluate functions get as config.
    evaluate_fn : EvaluateFunction or None
        What evaluates the mean of all models.
    """

    num_rounds: int = 0
    timeout: float = _FOREVER
    evaluate_config: Mapping[str, Any] | None = None
    evaluate_fn: EvaluateFunction | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Plan:
        """Return what is known from a ``start`` that was given these arguments by name."""
        known = {name: given[name] for name in cls.__dataclass_fields__ if name in given}
        return cls(**known)


class Settings(Protocol):
    """What a run reads of its strategy, as users set it."""

    options: Options
    clock: Clock
    topology: Any
    relay: Relay
    num_devices: int | None
    min_available_nodes: int
    connect_timeout: float
    evaluate_every: int
    evaluate_trained: bool
    fraction_evaluate: float
    evaluate_config: ConfigRecord
    arrayrecord_key: str
    configrecord_key: str
    weighted_by_key: str
    on_round: Any
    on_failure: str
    result: str
