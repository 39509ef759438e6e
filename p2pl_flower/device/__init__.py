"""A device: what it does with its mailbox, its neighbor list and its own options."""

from __future__ import annotations

from .device import Device
from .exchange import Exchange, Step

__all__ = ["Device", "Exchange", "Step"]
