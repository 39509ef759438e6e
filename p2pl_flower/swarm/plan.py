"""What a contender is to the swarm: who trains, and by which matrices models are mixed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..algorithms import Algorithm
from ..algorithms.codecs import Coder
from ..algorithms.mixing import MixingRule, Weighted
from ..algorithms.p2pl import P2PL
from ..algorithms.privacy import NOT_PRIVATE, Privacy
from ..history import Elapsed
from ..options import Timing
from ..sharing import EVERYTHING, Sharing
from .hostile import NOBODY, Hostile
from .mixing import Mixing
from .synchronization import Start

Ids = NDArray[np.int64]


class Plan(ABC):
    """Who trains when, and how models are mixed.

    Attributes
    ----------
    samples : NDArray[int64], shape (K,)
        Training samples of each device.
    seed : int
        Seed of everything.
    algorithm : Algorithm
        What devices train from, send, and make of what arrives.
    scope : str
        Which groups of tensors synchronization compares: ``model`` or ``tensor``.
    shared_start : bool
        Whether all devices start from device 0's draw.
    bounded : bool
        Whether norms of initial models are to be plausible.
    shared : Sharing
        Which tensors are mixed.
    mixing : MixingRule
        How messages are mixed.
    coder : Coder
        What is sent of them.
    privacy : Privacy
        What is done to trained models before anything of them is sent.
    timing : Timing or None
        What counts the run's time: who is late follows from it.
    asynchronous : bool
        Whether devices train and mix each in its own time.
    hostile : Hostile
        Who lies to neighbors, in an experiment with attackers: they are never scored.
    """

    samples: Ids
    seed: int
    algorithm: Algorithm = P2PL()
    scope: str = "model"
    shared_start: bool = False
    bounded: bool = False
    shared: Sharing = EVERYTHING
    mixing: MixingRule = Weighted()
    coder: Coder = Coder()
    privacy: Privacy = NOT_PRIVATE
    timing: Timing | None = None
    asynchronous: bool = False
    hostile: Hostile = NOBODY

    @property
    def devices(self) -> int:
        """K."""
        return len(self.samples)

    @abstractmethod
    def start(self, norms: NDArray[np.float64], model_bytes: int) -> Start:
        """Return whose initial tensors each device begins with, and what it took.

        Parameters
        ----------
        norms : NDArray[float64], shape (K, G)
            L2 norm of each group of tensors that a device has drawn.
        model_bytes : int
            Size of a model in bytes.
        """

    @abstractmethod
    def trains(self, round_number: int) -> Ids:
        """Return the devices that train in a round, ascending. Rounds are asked in order."""

    @abstractmethod
    def mixings(self, round_number: int) -> Iterator[Mixing]:
        """Return the consensus steps of a round, after training."""

    @abstractmethod
    def scored(self, round_number: int) -> Ids:
        """Return the devices whose models are scored after consensus."""

    @abstractmethod
    def traffic(self, sent: Ids, round_number: int, message_bytes: int) -> Mapping[str, int]:
        """Return the bytes of a round, as named in `p2pl_flower.history.Round`.

        Parameters
        ----------
        sent : NDArray[int64], shape (K,)
            Bytes that each device sent to others.
        round_number : int
            The round.
        message_bytes : int
            Size of a message in bytes.
        """

    @abstractmethod
    def synchronized(self, timing: Timing, setup: Mapping[str, int]) -> float:
        """Return the simulated seconds before round 1, of what `start` says that it took."""

    @abstractmethod
    def elapsed(self, timing: Timing, number: int, sent: Ids, message_bytes: int) -> Elapsed:
        """Return what a round took by the clock; ``sent`` is as for `traffic`."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what must be the same for a checkpoint to be continued."""
