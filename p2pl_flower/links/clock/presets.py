"""Networks by name: what standards and measurements say of them. Sources in docs/time.md."""

from __future__ import annotations

from dataclasses import dataclass

from ...config import described, option, within
from .network import Rates

_POSITIVE, _ANY = within("(0, inf)"), within("[0, inf)")


@described
@dataclass(frozen=True)
class FiveGSidelink(Rates):
    """Devices side by side, over 5G: what IMT-2020 asks of a user's uplink, both ways.

    The sidelink lies in the uplink's resources, and a radio does not hear while it sends. Energy
    is not stated.

    References
    ----------
    ITU-R, Report M.2410-0, "Minimum requirements related to technical performance for IMT-2020
    radio interface(s)", 2017: 50 Mbit/s up, 100 Mbit/s down, 4 ms.
    3GPP, TS 38.300, "NR and NG-RAN overall description", release 16 (sidelink).
    """

    up_rate: float = option(50.0, name="up", rule=_POSITIVE, help="Mbit/s that a device sends")
    down_rate: float = option(50.0, name="down", rule=_POSITIVE, help="Mbit/s that it receives")
    delay: float = option(4.0, rule=_ANY, help="latency of a link in milliseconds, one way")
    half_duplex: bool = option(True, help="whether a device cannot send and receive at once")
    server_delay: float = option(20.0, rule=_ANY, help="milliseconds to the server")
    server_up: float = option(1000.0, rule=_POSITIVE, help="Mbit/s that a server sends")
    server_down: float = option(1000.0, rule=_POSITIVE, help="Mbit/s that it receives")


@described
@dataclass(frozen=True)
class WiFi(Rates):
    """A smartphone's Wi-Fi, with what sending and receiving were measured to take.

    References
    ----------
    J. Huang et al., "A close examination of performance and power characteristics of 4G LTE
    networks", MobiSys 2012: 283.17 mW for each Mbit/s up, 137.01 down.
    """

    up_rate: float = option(50.0, name="up", rule=_POSITIVE, help="Mbit/s that a device sends")
    down_rate: float = option(50.0, name="down", rule=_POSITIVE, help="Mbit/s that it receives")
    delay: float = option(3.0, rule=_ANY, help="latency of a link in milliseconds, one way")
    half_duplex: bool = option(True, help="whether a device cannot send and receive at once")
    server_delay: float = option(20.0, rule=_ANY, help="milliseconds to the server")
    server_up: float = option(1000.0, rule=_POSITIVE, help="Mbit/s that a server sends")
    server_down: float = option(1000.0, rule=_POSITIVE, help="Mbit/s that it receives")
    sending: float = option(0.28317 * 8, rule=_ANY, help="microjoules for a byte sent")
    receiving: float = option(0.13701 * 8, rule=_ANY, help="microjoules for a byte received")


@described
@dataclass(frozen=True)
class LoRaWAN(Rates):
    """LoRa at its quickest in Europe: spreading factor 7, 125 kHz, one hundredth of the time.

    A gateway hears at the same rate. A byte takes 3.3 V times 29 mA (sent at +13 dBm) or 11.5 mA
    (received) times the time that it is on air.

    References
    ----------
    LoRa Alliance, RP002-1.0.3, "LoRaWAN Regional Parameters", 2021: DR5 of EU868, 5470 bit/s.
    ETSI, EN 300 220-2, 2018: a duty cycle of 1 %.
    Semtech, "SX1276/77/78/79 datasheet", rev. 7, 2020.
    """

    up_rate: float = option(0.00547, name="up", rule=_POSITIVE, help="Mbit/s that a device sends")
    down_rate: float = option(0.00547, name="down", rule=_POSITIVE, help="Mbit/s that it receives")
    duty: float = option(0.01, rule=within("(0, 1]"), help="share of the time in which it may send")
    half_duplex: bool = option(True, help="whether a device cannot send and receive at once")
    server_up: float = option(0.00547 * 0.1, rule=_POSITIVE, help="Mbit/s that a gateway sends")
    server_down: float = option(
        0.00547 * 8, rule=_POSITIVE, help="Mbit/s that it receives, on eight channels"
    )
    sending: float = option(
        3.3 * 0.029 * 8 / 5470 * 1e6, rule=_ANY, help="microjoules for a byte sent"
    )
    receiving: float = option(
        3.3 * 0.0115 * 8 / 5470 * 1e6, rule=_ANY, help="microjoules for a byte received"
    )


@described
@dataclass(frozen=True)
class Datacenter(Rates):
    """Machines in one hall: 10 Gbit/s each, and half of a measured round trip.

    References
    ----------
    C. Guo et al., "Pingmesh: a large-scale system for data center network latency measurement
    and analysis", SIGCOMM 2015: median round trips of about a quarter of a millisecond.
    """

    up_rate: float = option(1e4, name="up", rule=_POSITIVE, help="Mbit/s that a device sends")
    down_rate: float = option(1e4, name="down", rule=_POSITIVE, help="Mbit/s that it receives")
    delay: float = option(0.13, rule=_ANY, help="latency of a link in milliseconds, one way")
    server_delay: float = option(0.13, rule=_ANY, help="milliseconds to the server")
