"""Safetensors documents in memory, for tests."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from p2pl_flower.consensus import Model
from p2pl_flower.relay.tensors import Buffer, entries_of, pieces, view


def pack(model: Model, metadata: Mapping[str, str] | None = None) -> Buffer:
    """Return a model's document."""
    return np.frombuffer(b"".join(pieces(model, metadata)), np.uint8)


def unpack(buffer: Buffer) -> Model:
    """Return the model in a document."""
    return {name: view(buffer, entry) for name, entry in entries_of(buffer).items()}
