"""Safetensors documents in memory, for tests."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from p2pl_flower.named_arrays import Model
from p2pl_flower.relay.tensors import Buffer, pieces


def pack(model: Model, metadata: Mapping[str, str] | None = None) -> Buffer:
    """Return a model's document."""
    return np.frombuffer(b"".join(pieces(model, metadata)), np.uint8)
