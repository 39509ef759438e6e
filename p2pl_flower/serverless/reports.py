"""What a device reads from its app's replies, and what it tells of a round."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from flwr.app import ConfigRecord, MetricRecord, RecordDict

from ..flower import messages
from ..history import Round


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


def received_in(reply: RecordDict) -> dict[int, int]:
    """Return the bytes that arrived in a reply's exchange, by sender."""
    record = reply.config_records.get(messages.RECORD, ConfigRecord())
    senders: Any = record.get("senders", [])
    sizes: Any = record.get("bytes", [])
    return dict(zip(senders, sizes, strict=True))


def finite(metrics: MetricRecord) -> MetricRecord:
    """Return the metrics without those that a history cannot hold, of a model gone astray."""
    kept = {k: v for k, v in metrics.items() if isinstance(v, list) or math.isfinite(v)}
    return MetricRecord(kept)


def as_number(value: object) -> float:
    """Return a metric as a number; 0 where it is none."""
    return float(value) if isinstance(value, int | float) else 0.0
