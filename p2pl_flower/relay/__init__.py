"""Relays: how models get from device to device."""

from .base import MailboxRelay, OpenRelay, Relay
from .file import FileRelay
from .mailbox import Mailbox, Slot
from .memory import MemoryRelay
from .ray import RayRelay
from .tensors import pack, unpack

__all__ = [
    "FileRelay",
    "Mailbox",
    "MailboxRelay",
    "MemoryRelay",
    "OpenRelay",
    "RayRelay",
    "Relay",
    "Slot",
    "pack",
    "unpack",
]
