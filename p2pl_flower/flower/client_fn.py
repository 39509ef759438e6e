"""Translates messages for ``client_fn`` projects: ``Client`` and ``NumPyClient``.

Strategies of Flower's message API, P2PL and `flwr.serverapp.strategy.FedAvg` alike, send
one array record and one config record, and want one array record and one metric record
back. A ``client_fn`` reads and writes records under names of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord, RecordDict

from . import failures, messages
from ._compat import EVALUATE_NOT_IMPLEMENTED, GET_PARAMETERS
from .records import COUNT

_PREFIXES = {"train": "fit", "evaluate": "evaluate"}

ASK_PARAMETERS = GET_PARAMETERS
"""Type of the message that asks a client for its parameters."""


def plain_numbers(client_fn: Callable[[Context], Any]) -> Callable[[Context], Any]:
    """Return a ``client_fn`` whose clients' NumPy scalars arrive as Python's numbers.

    Flower's records refuse all others among metrics and numbers of samples, and a metric that
    NumPy or scikit-learn has computed is one.
    """

    @functools.wraps(client_fn)
    def made(context: Context) -> Any:
        client = client_fn(context)
        client = client.to_client() if hasattr(client, "to_client") else client
        for name in _PREFIXES.values():
            setattr(client, name, _with_plain_metrics(getattr(client, name)))
        return client

    return made


def _with_plain_metrics(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if hasattr(method, "__wrapped__"):  # the client is one that was returned before
        return method

    @functools.wraps(method)
    def called(instructions: Any) -> Any:
        result = method(instructions)
        result.metrics = {
            k: v.item() if isinstance(v, np.generic) else v
            for k, v in (result.metrics or {}).items()
        }
        return result

    return called


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
    own metrics that are numbers. All of these, as the client returned them, are in a record
    beside it. A client that has no ``evaluate`` answers with our own record, which says so.

    Raises
    ------
    DeviceError
        The client reports another status than OK.
    """
    prefix = f"{_PREFIXES[category]}res"
    status = content.config_records.get(f"{prefix}.status", ConfigRecord())
    if category == "evaluate" and status.get("code", 0) == EVALUATE_NOT_IMPLEMENTED:
        return RecordDict({messages.RECORD: ConfigRecord({messages.UNSCORED: True})})
    if status.get("code", 0) != 0:
        raise failures.answered(category, str(status.get("message")))
    count = content.metric_records[f"{prefix}.num_examples"]["num_examples"]
    metrics: dict[str, Any] = {COUNT: count}
    metrics |= dict(content.metric_records.get(f"{prefix}.loss", {}))
    own = content.config_records.get(f"{prefix}.metrics", ConfigRecord())
    metrics |= {k: v + 0 for k, v in own.items() if isinstance(v, int | float)}
    arrays = content.array_records.get(f"{prefix}.parameters")
    records: dict[str, Any] = {} if arrays is None else {"arrays": arrays}
    if own:
        records[messages.CLIENT_METRICS] = own
    return RecordDict({**records, "metrics": MetricRecord(metrics)})


def ask_for_parameters() -> RecordDict:
    """Return the content of a message that asks a client for its parameters."""
    return RecordDict({"getparametersins.config": ConfigRecord()})


def parameters_in(content: RecordDict) -> ArrayRecord:
    """Return the parameters in a client's reply, or raise as `from_client` does."""
    status = content.config_records.get("getparametersres.status", ConfigRecord())
    if status.get("code", 0) != 0:
        raise failures.answered("get_parameters", str(status.get("message")))
    return content.array_records["getparametersres.parameters"]
