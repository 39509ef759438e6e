"""What `PeerApp` reads from messages and puts into replies."""

from __future__ import annotations

from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from ..device import Exchange
from ..errors import DeviceError
from ..named_arrays import Model
from . import messages

COUNT = "num-examples"
"""What Flower's projects weigh metrics by: no score, so it is not repeated."""


def is_scored(content: RecordDict) -> bool:
    """Return whether a train message asks for the trained model to be evaluated."""
    own = content.config_records.get(messages.RECORD, ConfigRecord())
    return bool(own.get(messages.SCORED, False))


def ask_for_scores(content: RecordDict) -> None:
    """Let a train message ask for the trained model to be evaluated."""
    content[messages.RECORD] = ConfigRecord({messages.SCORED: True})


def without_ours(content: RecordDict) -> RecordDict:
    """Return the records of a message that are for the user's functions."""
    ours = messages.RECORD, messages.SCORE_CONFIG
    return RecordDict({k: v for k, v in content.items() if k not in ours})


def score_config(content: RecordDict) -> dict[str, ConfigRecord]:
    """Return the config for scoring a trained model, in place of a train message's own."""
    config = content.config_records.get(messages.SCORE_CONFIG)
    keys = list(without_ours(content).config_records)[:1]
    return {} if config is None else dict.fromkeys(keys, config)


def add_scores(metrics: MetricRecord, scores: MetricRecord) -> None:
    """Add the metrics of an evaluation after training to those of the training."""
    for key, value in scores.items():
        if key != COUNT:
            metrics[messages.AFTER_TRAINING + key] = value


def without_scores(content: RecordDict) -> RecordDict:
    """Return a train reply as the user's function returned it, without what was added to it."""
    return RecordDict(
        {
            name: MetricRecord(
                {k: v for k, v in r.items() if not k.startswith(messages.AFTER_TRAINING)}
            )
            if isinstance(r, MetricRecord)
            else r
            for name, r in content.items()
            if name != messages.RECORD
        }
    )


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


def has_no_scores(content: RecordDict) -> bool:
    """Return whether an evaluation's reply comes from a client that has no evaluate function."""
    own = content.config_records.get(messages.RECORD, ConfigRecord())
    return bool(own.get(messages.UNSCORED, False))


def unscored_why(content: RecordDict) -> str:
    """Return why a trained model could not be scored; the empty text where it could."""
    own = content.config_records.get(messages.RECORD, ConfigRecord())
    return str(own.get(messages.UNSCORED_WHY, ""))


def with_arrays(content: RecordDict, key: str, model: Model) -> RecordDict:
    """Return what FedAvg would have sent, the model first, and after it our own records."""
    return RecordDict({key: messages.to_arrays(model), **content})


def reply_to(message: Message, entry: dict[str, Any]) -> Message:
    """Return a reply that holds our own record alone."""
    return Message(RecordDict({messages.RECORD: ConfigRecord(entry)}), reply_to=message)


def exchange_entry(exchange: Exchange | None) -> dict[str, Any]:
    """Return what an exchange brought, as flat config values without empty lists."""
    if exchange is None:
        return {}
    columns: dict[str, list[int]] = {
        messages.SENDERS: list(exchange.received),
        messages.BYTES: list(exchange.received.values()),
        messages.ORIGINS: list(exchange.origins),
        messages.TELLERS: list(exchange.told),
        messages.TOLD: list(exchange.told.values()),
    }
    return {name: column for name, column in columns.items() if column}


def received_in(content: RecordDict) -> dict[int, int]:
    """Return the bytes that arrived in a reply's exchange, by sender."""
    return _by_device(content, messages.SENDERS, messages.BYTES)


def told_in(content: RecordDict) -> dict[int, int]:
    """Return the bytes of what devices said of whom they hear, by device."""
    return _by_device(content, messages.TELLERS, messages.TOLD)


def _by_device(content: RecordDict, devices: str, sizes: str) -> dict[int, int]:
    record = content.config_records.get(messages.RECORD, ConfigRecord())
    columns: list[Any] = [record.get(devices, []), record.get(sizes, [])]
    return dict(zip(*columns, strict=True))


def take_arrays(content: RecordDict) -> int:
    """Take all arrays out of a reply, and return how many bytes these were."""
    taken = 0
    for key in list(content.array_records):
        taken += sum(len(array.data) for array in content.array_records[key].values())
        del content[key]
    return taken


def filtered(reply: Message, exchange: Exchange | None) -> Message:
    """Return a user function's reply with no array in it.

    Our own record beside it tells what the consensus step before it brought, and how many bytes
    of arrays the function returned though nobody asked for them.
    """
    content = reply.content
    held_back = take_arrays(content)
    own = dict(content.config_records.get(messages.RECORD, ConfigRecord()))
    own |= exchange_entry(exchange)
    own |= {messages.HELD_BACK: held_back} if held_back else {}
    content.pop(messages.RECORD, None)
    if own:
        content[messages.RECORD] = ConfigRecord(own)
    return reply


def held_back_in(content: RecordDict) -> int:
    """Return how many bytes of arrays stay on the device that its function has returned."""
    value = content.config_records.get(messages.RECORD, ConfigRecord()).get(messages.HELD_BACK, 0)
    return value if isinstance(value, int) else 0
