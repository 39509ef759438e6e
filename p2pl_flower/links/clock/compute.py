"""How quickly devices compute."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...config import Option, check_fields, described, option, within
from ...errors import ConfigError
from ...seeding import Stream, uniform
from ..base import SEED
from .draws import lognormal

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

GIGA = 1e9

SPEED = Option(
    "operations a second, in billions", within("(0, inf)"), default=10.0, name="speed", kind=float
)
ENERGY = Option(
    "joules for a billion operations; 0 is not stated",
    within("[0, inf)"),
    default=0.0,
    name="energy",
    kind=float,
)


class Compute(ABC):
    """Says how many operations devices do in a second: a pure function of device and round."""

    @property
    def joules(self) -> float | None:
        """Joules that an operation takes; None where that is not stated."""
        return None

    @abstractmethod
    def speed_of(self, devices: Ids, round_number: int) -> Floats:
        """Return operations a second, above 0, in the devices' shape."""


class _Stated(Compute):
    """Speeds with an option for the energy."""

    energy: float

    @property
    def joules(self) -> float | None:
        """Joules that an operation takes."""
        return self.energy / GIGA or None


@described
@dataclass(frozen=True)
class Constant(_Stated):
    """All devices are equally quick.

    Raises
    ------
    ConfigError
        An argument is out of range.
    """

    speed: float = SPEED.field()
    energy: float = ENERGY.field()

    def __post_init__(self) -> None:
        check_fields(self)

    def speed_of(self, devices: Ids, round_number: int) -> Floats:
        """Return the speed, for each device."""
        return np.full(np.shape(devices), self.speed * GIGA)


@described
@dataclass(frozen=True)
class Lognormal(_Stated):
    r"""Device k does speed times :math:`e^{\sigma g_k}`, with :math:`g_k` standard normal.

    Raises
    ------
    ConfigError
        An argument is out of range.
    """

    speed: float = SPEED.field()
    sigma: float = option(0.5, rule=within("[0, 5]"), help="sigma of the speeds' logarithms")
    energy: float = ENERGY.field()
    seed: int = SEED.field()

    def __post_init__(self) -> None:
        check_fields(self)

    def speed_of(self, devices: Ids, round_number: int) -> Floats:
        """Return the speeds, whose median is ``speed``; the same in every round."""
        return self.speed * GIGA * lognormal(self.seed, Stream.SPEED, devices, self.sigma)


@described
@dataclass(frozen=True)
class Stragglers(_Stated):
    """Some devices are slower than all others: those with the smallest numbers drawn.

    Raises
    ------
    ConfigError
        An argument is out of range.
    """

    share: float = option(0.2, rule=within("[0, 1]"), help="probability that a device is slow")
    factor: float = option(10.0, rule=within("[1, inf)"), help="how many times slower it is")
    speed: float = SPEED.field()
    energy: float = ENERGY.field()
    seed: int = SEED.field()

    def __post_init__(self) -> None:
        check_fields(self)

    def slow(self, devices: Ids) -> NDArray[np.bool_]:
        """Return which devices are slow; the same in every round."""
        return uniform(self.seed, Stream.SPEED, devices, 2) < self.share

    def speed_of(self, devices: Ids, round_number: int) -> Floats:
        """Return the speeds."""
        return self.speed * GIGA / np.where(self.slow(devices), self.factor, 1.0)


@described
@dataclass(frozen=True)
class Trace(_Stated):
    """Speeds that were measured, from a file: a line a device, a column a round.

    Device k has line k, round t column t; after the last it begins again with the first.

    Raises
    ------
    ConfigError
        The file cannot be read, or a number in it is not above 0.
    """

    path: str = option(help="a CSV file of operations a second, in billions", is_path=True)
    energy: float = ENERGY.field()

    def __post_init__(self) -> None:
        check_fields(self)
        if not (np.isfinite(self._speeds) & (self._speeds > 0)).all():
            raise ConfigError("path", self.path, "must hold numbers above 0: billions a second")

    @cached_property
    def _speeds(self) -> Floats:
        try:
            return np.loadtxt(Path(self.path), delimiter=",", ndmin=2)
        except (OSError, ValueError) as error:
            rule = f"must be a CSV file with a line for each device and as many columns ({error})"
            raise ConfigError("path", self.path, rule) from error

    def speed_of(self, devices: Ids, round_number: int) -> Floats:
        """Return the speeds of a round, from 1."""
        lines, columns = self._speeds.shape
        column = self._speeds[:, (round_number - 1) % columns]
        return np.asarray(column[np.asarray(devices) % lines] * GIGA)
