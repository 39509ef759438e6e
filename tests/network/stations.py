"""Stations of small networks on loopback."""

from __future__ import annotations

import numpy as np

from p2pl_flower.relay import Slot
from p2pl_flower.relay.grpc import Station

RUN = "1"
SLOT = Slot("model", 1, 0)


def model(value: float = 1.0, size: int = 3) -> dict[str, np.ndarray]:
    return {"w": np.full(size, value, np.float32), "b": np.array(float(value))}


def connect(*stations: Station) -> None:
    for station in stations:
        others = {other.device: other.address for other in stations if other is not station}
        station.meet(RUN, others)
