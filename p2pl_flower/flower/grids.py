"""Flower grids around another grid: one counts bytes, one keeps few messages in flight."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid

_PULL_SECONDS = 0.05
_SILENCE_SECONDS = 5.0


class GridAround(Grid):
    """Passes everything on to another grid."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    @property
    def run(self) -> Any:
        """Run information."""
        return self._grid.run

    def set_run(self, run: Any) -> None:
        """Pass on."""
        self._grid.set_run(run)

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Pass on."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Pass on."""
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Pass on."""
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Pass on."""
        return self._grid.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Pass on."""
        return self._grid.send_and_receive(messages, timeout=timeout)


class MeteredGrid(GridAround):
    """Counts what passes through the server.

    Attributes
    ----------
    total_bytes : int
        Bytes of all records in messages that were sent and in replies that came.
    array_bytes : Counter[int]
        Bytes of the array records (models) among them, by the node that sent them.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid)
        self.total_bytes = 0
        self.array_bytes: Counter[int] = Counter()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Count the messages and pass them on."""
        return super().push_messages(self._counted(messages))

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Pass on, and count the replies."""
        return self._counted(super().pull_messages(message_ids))

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Count the messages, pass them on, and count the replies."""
        return self._counted(super().send_and_receive(self._counted(messages), timeout=timeout))

    def _counted(self, messages: Iterable[Message]) -> list[Message]:
        listed = list(messages)
        for message in listed:
            if message.has_content():
                content, sender = message.content, message.metadata.src_node_id
                self.total_bytes += count_bytes(content)
                arrays = content.array_records.values()
                self.array_bytes[sender] += sum(record.count_bytes() for record in arrays)
        return listed


def count_bytes(content: RecordDict) -> int:
    """Return the bytes of all records in a message's content."""
    return sum(map(_record_bytes, content.values()))


def _record_bytes(record: ArrayRecord | ConfigRecord | MetricRecord) -> int:
    """Return what ``count_bytes`` does, which in flwr 1.41 fails on empty texts and lists."""
    if not isinstance(record, ConfigRecord):
        return record.count_bytes()
    return sum(len(name) + _value_bytes(value) for name, value in record.items())


def _value_bytes(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_value_bytes, value))
    if isinstance(value, str | bytes):
        return len(value)
    return 1 if isinstance(value, bool) else 8


class PacedGrid(GridAround):
    """Keeps only so many messages in flight, and sends the next as replies come in.

    Flower's simulation looks ten times a second through all messages in flight for every
    node: its cost grows with their number times the number of nodes. A few more than the
    simulation can work on at once keep it just as busy. Where nodes are real, all of
    them are to work at once, and this is not used.

    Parameters
    ----------
    grid : Grid
        The grid around which this is.
    window : int
        Messages in flight.
    """

    def __init__(self, grid: Grid, window: int = 20) -> None:
        super().__init__(grid)
        self._window = window

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send the messages bit by bit and return the replies that came in time."""
        waiting, in_flight = list(messages), set[str]()
        replies: list[Message] = []
        window, heard = self._window, time.monotonic()
        end = float("inf") if timeout is None else time.monotonic() + timeout
        while (waiting or in_flight) and time.monotonic() < end:
            if time.monotonic() - heard > _SILENCE_SECONDS:  # nodes that never answer fill it
                window, heard = window + self._window, time.monotonic()
            room = max(0, window - len(in_flight))
            in_flight.update(self._grid.push_messages(waiting[:room]))
            del waiting[:room]
            time.sleep(_PULL_SECONDS)
            pulled = list(self._grid.pull_messages(in_flight))
            in_flight.difference_update(m.metadata.reply_to_message_id for m in pulled)
            replies.extend(pulled)
            heard = time.monotonic() if pulled else heard
        return replies
