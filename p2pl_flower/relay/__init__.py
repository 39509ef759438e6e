"""Relays: how models get from device to device."""

from __future__ import annotations

from ..config import Table
from ..errors import ConfigError
from .auto import AutoRelay
from .base import MailboxRelay, OpenRelay, Relay
from .file import FileRelay
from .mailbox import Mailbox, Slot
from .memory import MemoryRelay
from .ray import RayRelay
from .tensors import pack, unpack

__all__ = [
    "RELAYS",
    "AutoRelay",
    "FileRelay",
    "Mailbox",
    "MailboxRelay",
    "MemoryRelay",
    "OpenRelay",
    "RayRelay",
    "Relay",
    "Slot",
    "make_relay",
    "pack",
    "unpack",
]


def _file(folder: str = "") -> Relay:
    return FileRelay(folder or None)


def _grpc(daemon: str = "") -> Relay:
    from .daemon.relay import GrpcRelay  # imports gRPC, which takes its time

    return GrpcRelay(daemon)


RELAYS: Table[Relay] = Table(
    "relay",
    {"auto": AutoRelay, "file": _file, "ray": RayRelay, "grpc": _grpc},
    group="p2pl_flower.relays",
    base=(Relay,),
)
"""Relays by name; `MemoryRelay` has none, for strategy and app must be given the same one."""


def make_relay(given: Relay | str | None) -> Relay:
    """Return the relay that a text such as ``ray`` stands for; the default for None.

    Raises
    ------
    ConfigError
        The text names no relay, or something else was given.
    """
    if given is None:
        return AutoRelay()
    if isinstance(given, str):
        return RELAYS.make(given)
    if not isinstance(given, Relay):
        rule = "must be a Relay, or the name of one"
        raise ConfigError("relay", given, rule, sorted(RELAYS.entries))
    return given
