"""How the learning rate goes from round to round."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ..config import Table
from ..errors import ConfigError

Schedule = Callable[[int], float]
"""The factor of a round, from 1, by which the learning rate is multiplied."""


def _constant() -> Schedule:
    return lambda _: 1.0


def _cosine(rounds: int, least: float = 0.0, warmup: int = 0) -> Schedule:
    r"""From 1 to ``least`` in ``rounds`` rounds, after a rise over the ``warmup`` first ones.

    .. math:: m + (1 - m) (1 + \cos(\pi (t - 1 - u) / (T - u))) / 2
    """
    if not 0 <= warmup < rounds or not 0 <= least <= 1:
        raise ConfigError("cosine", rounds, "needs rounds > warmup >= 0 and least in [0, 1]")

    def factor(number: int) -> float:
        if number <= warmup:
            return number / (warmup + 1)
        done = min(1.0, (number - 1 - warmup) / (rounds - warmup))
        return least + (1 - least) * (1 + math.cos(math.pi * done)) / 2

    return factor


def _step(every: int, factor: float = 0.1) -> Schedule:
    r"""Falls by ``factor`` every so many rounds: :math:`f^{\lfloor (t - 1) / e \rfloor}`."""
    if every < 1 or not 0 < factor <= 1:
        raise ConfigError("step", every, "needs every >= 1 and factor in (0, 1]")
    return lambda number: float(factor ** ((number - 1) // every))


SCHEDULES: Mapping[str, Callable[..., Schedule]] = {
    "constant": _constant,
    "cosine": _cosine,
    "step": _step,
}
"""Schedules by name, with their parameters."""

_TABLE: Table[Schedule] = Table("learning-rate-schedule", SCHEDULES)


def rate_schedule(given: str | Schedule) -> Schedule:
    """Return the schedule that text or a function stands for.

    Raises
    ------
    ConfigError
        Unknown name or parameter, a value that it cannot have, or no function.
    """
    if isinstance(given, str):
        return _TABLE.make(given)
    if not callable(given):
        rule = "must be text, or a function from a round's number, from 1, to a factor"
        raise ConfigError("learning-rate-schedule", given, rule, SCHEDULES)
    return given
