"""Federated averaging as a plan: one row for all, the data shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import take, within
from ..history import Elapsed
from ..options import Timing
from ..seeding import Stream, generator
from .mixing import Mixing
from .plan import Ids, Plan
from .synchronization import Start


@dataclass
class Averaging(Plan):
    """Federated averaging: a server averages the models of all devices, or of a sample.

    Parameters
    ----------
    samples : NDArray[int64], shape (K,)
        Training samples of each device, by whose shares models are averaged.
    fraction : float
        Share of the devices that train in a round, in (0, 1]; one at least.
    seed : int
        Seed of everything; which devices are sampled follows from it.
    gone : range
        Rounds in which there is no server: nobody is told to train.
    """

    samples: Ids
    fraction: float = 1.0
    seed: int = 0
    gone: range = range(0)

    def __post_init__(self) -> None:
        self.samples = np.asarray(self.samples, dtype=np.int64)
        self.shared_start = True
        self.fraction = take("fraction-train", self.fraction, float, within("(0, 1]"))

    def start(self, norms: NDArray[np.float64], model_bytes: int) -> Start:
        """Give device 0's draw to all: the server sends it along in round 1."""
        return Start(np.zeros(norms.shape, dtype=np.int64), {})

    def trains(self, round_number: int) -> Ids:
        """Return a random sample of ``fraction`` of the devices; nobody without a server."""
        if round_number in self.gone:
            return np.zeros(0, dtype=np.int64)
        count = max(1, int(self.fraction * self.devices))
        draw = generator(self.seed, Stream.SAMPLE, round_number)
        return np.sort(draw.choice(self.devices, count, replace=False)).astype(np.int64)

    def mixings(self, round_number: int) -> Iterator[Mixing]:
        """Return the one average of those that trained."""
        chosen = self.trains(round_number)
        if not len(chosen):
            return
        weights = np.zeros(self.devices)
        weights[chosen] = self.samples[chosen] / self.samples[chosen].sum()
        yield replace(Mixing.average(weights), moment=(round_number, 0))

    def scored(self, round_number: int) -> Ids:
        """Return one device: all hold the same model."""
        return np.zeros(1, dtype=np.int64)

    def traffic(self, sent: Ids, round_number: int, message_bytes: int) -> Mapping[str, int]:
        """Count a model from and to the server for each device that trains."""
        one_way = len(self.trains(round_number)) * message_bytes
        return {
            "bytes_sent": 2 * one_way,
            "bytes_sent_busiest": one_way,
            "bytes_through_server": 2 * one_way,
        }

    def synchronized(self, timing: Timing, setup: Mapping[str, int]) -> float:
        """Return 0: the start comes with the first round's model."""
        return 0.0

    def elapsed(self, timing: Timing, number: int, sent: Ids, message_bytes: int) -> Elapsed:
        """Return what a round took; a single device has its data where it trains."""
        trained = self.trains(number)
        if self.devices == 1:
            return timing.gossip(number, trained, self.samples, [], [0])
        return timing.averaging(number, trained, self.samples, message_bytes, message_bytes)

    def describe(self) -> dict[str, Any]:
        """Return the fraction and the seed."""
        gone = {"server-gone": f"{self.gone.start}-{self.gone.stop}"} if len(self.gone) else {}
        return {"fraction-train": self.fraction, "seed": self.seed, **gone}
