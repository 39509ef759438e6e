"""Attacks in the swarm: what attackers' neighbors hear lies beside what they would have sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from p2pl_flower.errors import ConfigError
from p2pl_flower.seeding import Stream, derive
from p2pl_flower.swarm.hostile import Hostile
from p2pl_flower.swarm.mixing import Mixing

from .base import Agreed, Attack, Omniscient, Tensors, Where
from .omniscient import Dissensus

Stacked = dict[str, Tensor]


def attacked(
    model: Callable[[int], nn.Module], attack: Attack, seed: int, devices: int
) -> Callable[[int], nn.Module]:
    """Return a factory of models of which attackers draw others."""
    who = attack.attackers(seed, devices)
    theirs = {derive(seed, Stream.INIT, device) for device in who}

    def drawing(seed: int) -> nn.Module:
        drawn = model(seed)
        if seed in theirs:
            drawn.load_state_dict(attack.drawn(drawn.state_dict()))
        return drawn

    return drawing if type(attack).drawn is not Attack.drawn else model


class HostileDevices(Hostile):
    """The attackers of a swarm.

    Parameters
    ----------
    attack : Attack
        What they do.
    seed : int
        The run's seed.
    devices : int
        K, of which they are a share.

    Raises
    ------
    ConfigError
        The attack knows what others send, and is of no kind that is asked what it makes of it.
    """

    def __init__(self, attack: Attack, seed: int, devices: int) -> None:
        if isinstance(attack, Omniscient) and not isinstance(attack, Agreed | Dissensus):
            rule = "knows what others send and nobody asks it: derive it from Agreed or Dissensus"
            raise ConfigError("attack", type(attack).__name__, rule)
        self._attack, self._seed = attack, seed
        self.devices = np.array(attack.attackers(seed, devices), dtype=np.int64)
        self._first: dict[tuple[int, int], Stacked] = {}

    def heard(self, sent: Tensors, mixing: Mixing) -> tuple[Mixing, Stacked]:
        """Return a step in which others hear lies, and the lies, each of shape (F, ...)."""
        lied_to = np.isin(mixing.columns, self.devices)
        if mixing.shape[0] > 1:
            lied_to &= mixing.rows != mixing.columns
        places = np.flatnonzero(lied_to)
        if not self._attack.lies or not len(places):
            return mixing, {}
        if isinstance(self._attack, Dissensus):
            lies, which = self._pushed(self._attack, sent, mixing, places)
        else:
            active = self.devices[mixing.active[self.devices]]
            lies = self._crafted(sent, mixing, active)
            which = np.searchsorted(active, mixing.columns[places])
        columns, count = mixing.columns.copy(), mixing.shape[1]
        columns[places] = count + which
        width = len(next(iter(lies.values())))
        return replace(mixing, columns=columns, shape=(mixing.shape[0], count + width)), lies

    def _crafted(self, sent: Tensors, mixing: Mixing, active: NDArray[np.int64]) -> Stacked:
        """Return what each attacker sends to all its neighbors."""
        if isinstance(self._attack, Agreed):
            honest = mixing.active.copy()
            honest[self.devices] = False
            rows = torch.from_numpy(np.flatnonzero(honest))
            made = self._attack.crafted({name: tensor[rows] for name, tensor in sent.items()})
            return {n: t.expand(len(active), *t.shape).contiguous() for n, t in made.items()}
        each = [self._own(sent, mixing, device) for device in active.tolist()]
        return {name: torch.stack([message[name] for message in each]) for name in sent}

    def _own(self, sent: Tensors, mixing: Mixing, device: int) -> Tensors:
        own = {name: tensor[device] for name, tensor in sent.items()}
        number, step = mixing.moment
        key = device, step
        if key not in self._first:
            self._first[key] = {name: tensor.clone() for name, tensor in own.items()}
        where = Where(self._seed, device, number, step)
        return self._attack.message(own, self._first[key], where)

    def _pushed(
        self, attack: Dissensus, sent: Tensors, mixing: Mixing, places: NDArray[np.int64]
    ) -> tuple[Stacked, NDArray[np.int64]]:
        """Return a lie for each link from an attacker, and their places in order."""
        if mixing.shape[0] == 1:
            rule = "is for devices that mix with neighbors: leave out fedavg and centralized"
            raise ConfigError("attack", "dissensus", rule)
        dense = torch.from_numpy(mixing.dense()) / mixing.gamma
        devices, link = np.unique(mixing.rows[places], return_inverse=True)
        rows = torch.from_numpy(devices)
        honest = dense[rows]
        honest[torch.arange(len(rows)), rows] = 0.0
        attacking = honest[:, torch.from_numpy(self.devices)].sum(1)
        honest[:, torch.from_numpy(self.devices)] = 0.0
        made = attack.pushed(sent, rows, honest, attacking)
        return {n: t[torch.from_numpy(link)] for n, t in made.items()}, np.arange(len(places))
