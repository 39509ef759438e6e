"""What links carry: rates, delays and energy, between devices and to a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...config import check_fields, described, option, within
from ...seeding import Stream
from ..base import SEED
from .draws import lognormal

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

BYTES = 1e6 / 8
"""Bytes a second in one Mbit/s."""


@dataclass(frozen=True)
class ServerLink:
    """The link of the server that federated averaging has.

    Attributes
    ----------
    up, down : float
        Bytes a second that it sends and receives, over all devices together.
    latency : float
        Seconds from a device to it, and back again.
    """

    up: float
    down: float
    latency: float


class Network(ABC):
    """Says how quickly devices send and receive, and after how long it arrives.

    All results are pure functions of the arguments, in bytes a second and seconds.

    Attributes
    ----------
    half_duplex : bool
        Whether a device cannot send and receive at once.
    """

    half_duplex: bool = False

    @property
    def joules_sent(self) -> float | None:
        """Joules that sending a byte takes; None where that is not stated."""
        return None

    @property
    def joules_received(self) -> float | None:
        """Joules that receiving a byte takes; None where that is not stated."""
        return None

    @property
    def is_there(self) -> bool:
        """Whether there is a clock at all."""
        return True

    @abstractmethod
    def up(self, devices: Ids) -> Floats:
        """Return how many bytes a second devices send."""

    @abstractmethod
    def down(self, devices: Ids) -> Floats:
        """Return how many bytes a second devices receive."""

    @abstractmethod
    def latency(self, to: Ids, source: Ids) -> Floats:
        """Return the seconds after which the first byte from ``source`` is there."""

    def share(self, distance: Floats) -> Floats:
        """Return the share of the senders' rates that is left at distances, in side lengths."""
        return np.ones_like(distance)

    @abstractmethod
    def server(self) -> ServerLink:
        """Return the server's link."""


@dataclass(frozen=True)
class NoNetwork(Network):
    """No clock: nothing takes any time."""

    @property
    def is_there(self) -> bool:
        """Return False."""
        return False

    def up(self, devices: Ids) -> Floats:
        """Return that everything is sent at once."""
        return np.full(len(devices), np.inf)

    def down(self, devices: Ids) -> Floats:
        """Return that everything is received at once."""
        return np.full(len(devices), np.inf)

    def latency(self, to: Ids, source: Ids) -> Floats:
        """Return zeros."""
        return np.zeros(len(to))

    def server(self) -> ServerLink:
        """Return a server that takes no time."""
        return ServerLink(np.inf, np.inf, 0.0)


@described
@dataclass(frozen=True)
class Rates(Network):
    r"""A network whose rates, delays and energy are given as numbers.

    Device k sends at :math:`r_k = up \cdot duty \cdot e^{\sigma g_k}` with :math:`g_k` standard
    normal, and receives at ``down`` times the same factor. A message over a distance d beyond
    ``near`` goes at the share

    .. math:: \log_2(1 + s (d / near)^{-a}) / \log_2(1 + s)

    of this, Shannon's capacity at a signal-to-noise ratio of :math:`s = 10^{snr/10}` where near.

    Raises
    ------
    ConfigError
        An argument is out of range.

    References
    ----------
    C. E. Shannon, "Communication in the presence of noise", Proceedings of the IRE 37, 1949.
    """

    up_rate: float = option(
        name="up", rule=within("(0, inf)"), help="Mbit/s that a device sends; ``up`` in text"
    )
    down_rate: float = option(
        name="down", rule=within("(0, inf)"), help="Mbit/s that it receives; ``down`` in text"
    )
    delay: float = option(
        0.0, rule=within("[0, inf)"), help="latency of a link in milliseconds, one way"
    )
    spread: float = option(
        0.0, rule=within("[0, 5]"), help="sigma of the devices' rates, which are lognormal"
    )
    duty: float = option(
        1.0, rule=within("(0, 1]"), help="share of the time in which a radio may send"
    )
    half_duplex: bool = option(False, help="whether a device cannot send and receive at once")
    near: float = option(
        0.0,
        rule=within("[0, inf)"),
        help="distance, in sides of the square that devices lie in, from which on rates fall; 0 "
        "for rates that do not depend on it. Positions are those of the topology",
    )
    path_loss: float = option(3.0, rule=within("[1, 10]"), help="exponent a of the path loss")
    snr: float = option(20.0, rule=within("(0, 100]"), help="signal-to-noise ratio where near, dB")
    server_up: float = option(1e4, rule=within("(0, inf)"), help="Mbit/s that a server sends")
    server_down: float = option(1e4, rule=within("(0, inf)"), help="Mbit/s that it receives")
    server_delay: float = option(
        0.0, rule=within("[0, inf)"), help="milliseconds between a device and the server"
    )
    sending: float = option(
        0.0, rule=within("[0, inf)"), help="microjoules for a byte sent; 0 is not stated"
    )
    receiving: float = option(
        0.0, rule=within("[0, inf)"), help="microjoules for a byte received; 0 is not stated"
    )
    seed: int = SEED.field()

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def joules_sent(self) -> float | None:
        """Joules that sending a byte takes."""
        return self.sending * 1e-6 or None

    @property
    def joules_received(self) -> float | None:
        """Joules that receiving a byte takes."""
        return self.receiving * 1e-6 or None

    def up(self, devices: Ids) -> Floats:
        """Return r_k in bytes a second."""
        return self.up_rate * self.duty * BYTES * self._factor(devices)

    def down(self, devices: Ids) -> Floats:
        """Return how many bytes a second devices receive."""
        return self.down_rate * BYTES * self._factor(devices)

    def latency(self, to: Ids, source: Ids) -> Floats:
        """Return ``delay`` in seconds."""
        return np.full(np.shape(to), self.delay / 1e3)

    def share(self, distance: Floats) -> Floats:
        """Return the share of the rate that is left at distances."""
        if not self.near:
            return np.ones_like(distance)
        far = np.maximum(np.nan_to_num(distance, nan=0.0) / self.near, 1.0)
        signal = 10 ** (self.snr / 10)
        return np.asarray(np.log2(1 + signal * far**-self.path_loss) / np.log2(1 + signal))

    def server(self) -> ServerLink:
        """Return the server's link."""
        return ServerLink(self.server_up * BYTES, self.server_down * BYTES, self.server_delay / 1e3)

    def _factor(self, devices: Ids) -> Floats:
        return lognormal(self.seed, Stream.RATE, devices, self.spread)
