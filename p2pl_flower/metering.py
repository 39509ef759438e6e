"""A Flower Grid that counts the bytes that pass through the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid


class MeteredGrid(Grid):
    """Passes everything on to another grid, and counts.

    Attributes
    ----------
    total_bytes : int
        Bytes of all records in messages that were sent and in replies that came.
    array_bytes : Counter[int]
        Bytes of the array records (models) among them, by the node that sent them.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.total_bytes = 0
        self.array_bytes: Counter[int] = Counter()

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
        """Count the messages and pass them on."""
        return self._grid.push_messages(self._counted(messages))

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Pass on, and count the replies."""
        return self._counted(self._grid.pull_messages(message_ids))

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Count the messages, pass them on, and count the replies."""
        replies = self._grid.send_and_receive(self._counted(messages), timeout=timeout)
        return self._counted(replies)

    def _counted(self, messages: Iterable[Message]) -> list[Message]:
        listed = list(messages)
        for message in listed:
            if message.has_content():
                content, sender = message.content, message.metadata.src_node_id
                self.total_bytes += sum(r.count_bytes() for r in content.values())
                arrays = content.array_records.values()
                self.array_bytes[sender] += sum(record.count_bytes() for record in arrays)
        return listed
