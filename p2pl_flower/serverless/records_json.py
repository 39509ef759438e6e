"""Flower's records as JSON and arrays: an app's ``Context.state`` in a checkpoint."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from ..named_arrays import Model

_BYTES = "base64"


def to_json(records: RecordDict) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return records as JSON, and the bytes of their arrays as uint8 arrays."""
    content: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for key, record in records.items():
        if isinstance(record, ArrayRecord):
            entries = {}
            for name, array in record.items():
                arrays[f"{key}/{name}"] = np.frombuffer(array.data, np.uint8)
                entries[name] = [array.dtype, list(array.shape), array.stype]
            content[key] = {"kind": "arrays", "entries": entries}
        else:
            kind = "metrics" if isinstance(record, MetricRecord) else "config"
            entries = {name: _plain(value) for name, value in record.items()}
            content[key] = {"kind": kind, "entries": entries}
    return content, arrays


def from_json(content: dict[str, Any], arrays: Model) -> RecordDict:
    """Rebuild what `to_json` returned."""
    records = RecordDict()
    for key, record in content.items():
        entries = record["entries"]
        if record["kind"] == "arrays":
            records[key] = ArrayRecord(
                {
                    name: Array(dtype, tuple(shape), stype, arrays[f"{key}/{name}"].tobytes())
                    for name, (dtype, shape, stype) in entries.items()
                }
            )
        else:
            made = MetricRecord if record["kind"] == "metrics" else ConfigRecord
            records[key] = made({name: _rich(value) for name, value in entries.items()})
    return records


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return {_BYTES: base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return [_rich(entry) for entry in value]
    return base64.b64decode(value[_BYTES]) if isinstance(value, dict) else value
