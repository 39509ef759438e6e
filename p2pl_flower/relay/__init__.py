"""Relays: how models get from device to device."""

from .base import Mailbox, OpenRelay, Relay, Slot
from .file import FileRelay
from .memory import MemoryRelay
from .ray import RayRelay

__all__ = ["FileRelay", "Mailbox", "MemoryRelay", "OpenRelay", "RayRelay", "Relay", "Slot"]
