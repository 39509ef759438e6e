"""Endpoints of small networks on loopback."""

from __future__ import annotations

import numpy as np

from p2pl_flower.relay import Slot
from p2pl_flower.relay.grpc import Endpoint

RUN = "1"
SLOT = Slot("model", 1, 0)


def model(value: float = 1.0, size: int = 3) -> dict[str, np.ndarray]:
    return {"w": np.full(size, value, np.float32), "b": np.array(float(value))}


def connect(*endpoints: Endpoint) -> None:
    for endpoint in endpoints:
        others = {other.device: other.address for other in endpoints if other is not endpoint}
        endpoint.meet(RUN, others)
