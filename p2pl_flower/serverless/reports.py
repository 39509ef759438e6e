"""What a device reads from its app's replies, and what it tells of a round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flwr.app import ConfigRecord, RecordDict

from ..flower import messages
from ..history import Round, line


@dataclass
class Report:
    """What a device tells of a round as soon as it is over.

    Attributes
    ----------
    measured : Round
        Scores, bytes that arrived, seconds.
    arrived, asked : int
        Neighbors' models that arrived, of those that were asked for.
    received : dict[int, int]
        Bytes that arrived, by the neighbor that sent them.
    """

    measured: Round
    arrived: int = 0
    asked: int = 0
    received: dict[int, int] = field(default_factory=dict)

    def add(self, received: Mapping[int, int], told: Mapping[int, int], asked: int) -> None:
        """Add what a consensus step brought: bytes of models, and of what else was told."""
        self.asked += asked
        self.arrived += len(received)
        for sender, size in (*received.items(), *told.items()):
            self.received[sender] = self.received.get(sender, 0) + size

    def line(self) -> str:
        """Return one line about the round."""
        return line(self.measured, f"models {self.arrived}/{self.asked}")


def origins_in(reply: RecordDict) -> list[int]:
    """Return the devices that drew the initial model that a synchronization left, by group."""
    record = reply.config_records.get(messages.RECORD, ConfigRecord())
    origins: Any = record.get(messages.ORIGINS, [])
    return list(origins)
