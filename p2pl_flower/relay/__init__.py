"""Relays: how models get from device to device."""

from .base import Mailbox, OpenRelay, Relay, Slot
from .memory import MemoryRelay
from .ray import RayRelay

__all__ = ["Mailbox", "MemoryRelay", "OpenRelay", "RayRelay", "Relay", "Slot"]
