"""Devices that lie to their neighbors: what a plan may have, for experiments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from .mixing import Mixing
from .workers import Ids


class Hostile(ABC):
    """Who lies, and what their neighbors hear; their own models go on as if they did not.

    Attributes
    ----------
    devices : NDArray[int64]
        Who they are, ascending. They are never scored.
    """

    devices: Ids

    @abstractmethod
    def heard(self, sent: Mapping[str, Tensor], mixing: Mixing) -> tuple[Mixing, dict[str, Tensor]]:
        """Return a consensus step in which lies are heard.

        Parameters
        ----------
        sent : Mapping[str, Tensor]
            What all devices send when honest, each tensor of shape (K, ...); not to be changed.
        mixing : Mixing
            The step, of shape (K, K), or (1, K) where a server averages.

        Returns
        -------
        Mixing
            The step with F further columns, and in the place of attackers' columns those of lies.
        dict[str, Tensor]
            The lies, each of shape (F, ...); empty where nobody lies.
        """

    def honest(self, devices: Ids) -> Ids:
        """Return those of some devices that are honest."""
        return np.setdiff1d(devices, self.devices, assume_unique=True)


class NobodyHostile(Hostile):
    """All devices are honest."""

    devices = np.zeros(0, dtype=np.int64)

    def heard(self, sent: Mapping[str, Tensor], mixing: Mixing) -> tuple[Mixing, dict[str, Tensor]]:
        """Return the step as it is."""
        return mixing, {}


NOBODY = NobodyHostile()
