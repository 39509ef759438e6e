"""What `PeerApp` reads from messages and puts into replies."""

from __future__ import annotations

from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from ..consensus import Model
from ..device import Exchange
from ..errors import DeviceError
from ..options import ScoredRounds
from . import messages

COUNT = "num-examples"
"""What Flower's projects weigh metrics by: no score, so it is not repeated."""


def is_scored(content: RecordDict) -> bool:
    """Return whether a train message asks for the trained model to be evaluated."""
    config = next(iter(content.config_records.values()), ConfigRecord())
    number = config.get("server-round", 0)
    return isinstance(number, int) and ScoredRounds.from_config(config).due(number)


def without_score_config(content: RecordDict) -> tuple[RecordDict, dict[str, ConfigRecord]]:
    """Return a train message's records without the config for scoring, and that in its place."""
    rest = RecordDict({k: v for k, v in content.items() if k != messages.SCORE_CONFIG})
    config = content.config_records.get(messages.SCORE_CONFIG)
    keys = list(rest.config_records)[:1]
    return rest, {} if config is None else dict.fromkeys(keys, config)


def add_scores(metrics: MetricRecord, scores: MetricRecord) -> None:
    """Add the metrics of an evaluation after training to those of the training."""
    for key, value in scores.items():
        if key != COUNT:
            metrics[messages.AFTER_TRAINING + key] = value


def only_arrays(content: RecordDict) -> ArrayRecord:
    """Return the one array record of a train reply, or refuse the reply."""
    records = list(content.array_records.values())
    if len(records) != 1:
        raise DeviceError(
            f"the train function returned {len(records)} array records: P2PL needs exactly one"
        )
    return records[0]


def only_metrics(content: RecordDict) -> MetricRecord:
    """Return the one metric record of a reply, or refuse the reply."""
    records = list(content.metric_records.values())
    if len(records) != 1:
        raise DeviceError(
            f"the function returned {len(records)} metric records: P2PL needs exactly one"
        )
    return records[0]


def with_arrays(content: RecordDict, key: str, model: Model) -> RecordDict:
    """Return what FedAvg would have sent: the model first, then all but our own record."""
    rest = {k: v for k, v in content.items() if k != messages.RECORD}
    return RecordDict({key: messages.to_arrays(model), **rest})


def reply_to(message: Message, entry: dict[str, Any]) -> Message:
    """Return a reply that holds our own record alone."""
    return Message(RecordDict({messages.RECORD: ConfigRecord(entry)}), reply_to=message)


def exchange_entry(exchange: Exchange) -> dict[str, Any]:
    """Return what an exchange brought, as flat config values without empty lists."""
    columns: dict[str, list[int]] = {
        "senders": list(exchange.received),
        "bytes": list(exchange.received.values()),
        "origins": list(exchange.origins),
    }
    return {name: column for name, column in columns.items() if column}


def with_exchange(reply: Message, exchange: Exchange | None) -> Message:
    """Return a user function's reply, with what the consensus step before it brought."""
    if exchange is not None and reply.has_content():
        reply.content[messages.RECORD] = ConfigRecord(exchange_entry(exchange))
    return reply
