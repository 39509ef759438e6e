"""How long things take: networks, devices' speeds, and the arithmetic of a clock of both."""

from __future__ import annotations

from ...config import Table
from .compute import Compute, Constant, Lognormal, Stragglers, Trace
from .network import Network, NoNetwork, Rates, ServerLink
from .pairwise import Pairwise
from .presets import Datacenter, FiveGSidelink, LoRaWAN, WiFi
from .stopwatch import Lap, Step, Stopwatch

__all__ = [
    "COMPUTES",
    "NETWORKS",
    "Compute",
    "Constant",
    "Lap",
    "Lognormal",
    "Network",
    "NoNetwork",
    "Pairwise",
    "Rates",
    "ServerLink",
    "Step",
    "Stopwatch",
    "Stragglers",
    "Trace",
]

NETWORKS: Table[Network] = Table(
    "network",
    {
        "none": NoNetwork,
        "rates": Rates,
        "5g-d2d": FiveGSidelink,
        "wifi": WiFi,
        "lora-wan": LoRaWAN,
        "datacenter": Datacenter,
    },
    group="p2pl_flower.networks",
    base=(Network,),
    aliases={"up": "up_rate", "down": "down_rate"},  # methods have these names
)
COMPUTES: Table[Compute] = Table(
    "compute",
    {
        "constant": Constant,
        "lognormal": Lognormal,
        "stragglers": Stragglers,
        "trace": Trace,
    },
    group="p2pl_flower.computes",
    base=(Compute,),
)
