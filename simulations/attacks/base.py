"""What an attack is: what a seeded share of the devices does in the place of what it should."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from p2pl_flower.config import take, within

Tensors = Mapping[str, Tensor]

_WHO, _WHAT = 1 << 20, 1 << 21
"""Streams of random numbers that are no others'."""


class Where(NamedTuple):
    """At which attacker, and when, a message is sent.

    Attributes
    ----------
    seed, device : int
        The run's seed, and the attacker.
    round, step : int
        The round, and the consensus steps made in it.
    """

    seed: int
    device: int
    round: int
    step: int

    def generator(self) -> np.random.Generator:
        """Return a generator of the attacker's own for this message."""
        return np.random.default_rng([self.seed, _WHAT, *self[1:]])


@dataclass(frozen=True)
class Attack:
    """Attackers train as all do, and lie in some way; the base does not.

    Parameters
    ----------
    fraction : float
        Share of the devices that attack, in [0, 1): rounded to a number of devices.
    """

    fraction: float = 0.1

    def __post_init__(self) -> None:
        take("fraction", self.fraction, float, within("[0, 1)"))

    def attackers(self, seed: int, devices: int) -> tuple[int, ...]:
        """Return who attacks among ``devices``, ascending: drawn from the run's seed."""
        count = round(self.fraction * devices) if devices > 1 else 0
        drawn = np.random.default_rng([seed, _WHO]).permutation(devices)[:count]
        return tuple(sorted(drawn.tolist()))

    @property
    def lies(self) -> bool:
        """Whether attackers send something else than what they should."""
        return type(self).message is not Attack.message

    def message(self, own: Tensors, first: Tensors, where: Where) -> Tensors:
        """Return what an attacker sends.

        Parameters
        ----------
        own : Mapping[str, Tensor]
            What it would send if it were honest.
        first : Mapping[str, Tensor]
            What it would have sent in its first round, in this step.
        where : Where
            Who and when.
        """
        return own

    def drawn(self, model: Tensors) -> Tensors:
        """Return an attacker's initial model in the place of the one that it drew."""
        return model

    def labels(self, y: Tensor, classes: int) -> Tensor:
        """Return the labels that an attacker trains on, given its own."""
        return y


@dataclass(frozen=True)
class NoAttack(Attack):
    """Nobody attacks."""

    fraction: float = 0.0


class Omniscient(Attack):
    """Attackers know what all honest devices send, and agree on what they make of it.

    It is for the swarm: a device on a grid or a network hears its neighbors only after it has sent.
    """

    @property
    def lies(self) -> bool:
        """Return true."""
        return True


class Agreed(Omniscient, ABC):
    """All attackers send the same message, made of those of all honest devices."""

    @abstractmethod
    def crafted(self, honest: Tensors) -> Tensors:
        """Return what attackers send.

        Parameters
        ----------
        honest : Mapping[str, Tensor]
            What honest devices send, each tensor of shape (H, ...).
        """
