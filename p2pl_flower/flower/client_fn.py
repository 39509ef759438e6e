"""Translates messages for ``client_fn`` projects: ``Client`` and ``NumPyClient``.

Strategies of Flower's message API, P2PL and `flwr.serverapp.strategy.FedAvg` alike, send
one array record and one config record, and want one array record and one metric record
back. A ``client_fn`` reads and writes records under names of its own.
"""

from __future__ import annotations

from typing import Any

from flwr.app import ConfigRecord, MetricRecord, RecordDict

from ..errors import DeviceError

_PREFIXES = {"train": "fit", "evaluate": "evaluate"}


def is_legacy(content: RecordDict) -> bool:
    """Return whether a message's records already have the names that ``client_fn`` reads."""
    return any(key.partition(".")[0] in ("fitins", "evaluateins") for key in content)


def to_client(category: str, content: RecordDict) -> RecordDict:
    """Return a train or evaluate message's records under the names that ``client_fn`` reads."""
    prefix = f"{_PREFIXES[category]}ins"
    arrays = next(iter(content.array_records.values()))
    config = next(iter(content.config_records.values()), ConfigRecord())
    return RecordDict({f"{prefix}.parameters": arrays, f"{prefix}.config": config})


def from_client(category: str, content: RecordDict) -> RecordDict:
    """Return a client's reply as one metric record and, after training, one array record.

    The metrics are ``num-examples``, the loss of an evaluation, and those of the client's
    own metrics that are numbers.

    Raises
    ------
    DeviceError
        The client reports another status than OK.
    """
    prefix = f"{_PREFIXES[category]}res"
    status = content.config_records.get(f"{prefix}.status", ConfigRecord())
    if status.get("code", 0) != 0:
        raise DeviceError(f"the client's {category} failed: {status.get('message')!r}")
    count = content.metric_records[f"{prefix}.num_examples"]["num_examples"]
    metrics: dict[str, Any] = {"num-examples": count}
    metrics |= dict(content.metric_records.get(f"{prefix}.loss", {}))
    own = content.config_records.get(f"{prefix}.metrics", ConfigRecord())
    metrics |= {k: v + 0 for k, v in own.items() if isinstance(v, int | float)}
    arrays = content.array_records.get(f"{prefix}.parameters")
    records = {} if arrays is None else {"arrays": arrays}
    return RecordDict({**records, "metrics": MetricRecord(metrics)})
