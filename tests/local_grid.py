"""A Flower grid within this process: messages reach ClientApps by a function call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from flwr.app import Context, Error, Message, RecordDict, UserConfig
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from p2pl_flower.flower import membership

RUN_ID = 7

membership.SETTLED_SECONDS = 0.0  # all nodes are there from the start

# Newer versions of Flower set these before they run a ServerApp, to stamp messages with.
with suppress(ImportError):
    from flwr.supercore.task_identity import TaskIdentity

    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = RUN_ID, 1, 1


class LocalGrid(Grid):
    """Runs one ClientApp on ``num_nodes`` nodes, in the order in which messages are sent.

    ``drop`` says which messages are lost: those get no reply, as from a dead device.
    """

    def __init__(
        self,
        app: ClientApp,
        num_nodes: int,
        drop: Callable[[Message], bool] = lambda message: False,
        partition_ids: bool = True,
        run_config: UserConfig | None = None,
    ) -> None:
        self.app, self.drop = app, drop
        self.waiting: dict[str, Message] = {}
        self.log: list[tuple[str, int, RecordDict]] = []
        self.replies: list[Message] = []
        # Node ids are large and in no order, as Flower draws them.
        self.contexts = {
            1000 + (7919 * i) % 1009: Context(
                run_id=RUN_ID,
                node_id=1000 + (7919 * i) % 1009,
                node_config={"partition-id": i, "num-partitions": num_nodes}
                if partition_ids
                else {},
                state=RecordDict(),
                run_config=run_config or {},
            )
            for i in range(num_nodes)
        }

    @property
    def run(self) -> Any:
        return SimpleNamespace(run_id=RUN_ID)

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(self.contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        replies = [self._deliver(message) for message in messages]
        self.waiting.update({reply.metadata.reply_to_message_id: reply for reply in replies})
        return [reply.metadata.reply_to_message_id for reply in replies]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [self.waiting.pop(i) for i in message_ids if i in self.waiting]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        replies = [self._deliver(message) for message in messages if not self.drop(message)]
        self.replies += replies
        return list(reversed(replies))  # the order of arrival must not matter

    def node_of(self, partition: int) -> int:
        return list(self.contexts)[partition]

    def _deliver(self, message: Message) -> Message:
        message.metadata.__dict__["_message_id"] = str(uuid4())
        context = self.contexts[message.metadata.dst_node_id]
        device = context.node_config.get("partition-id", -1)
        self.log.append((message.metadata.message_type, device, deepcopy(message.content)))
        try:
            return self.app(message, context)
        except Exception as error:  # as Flower's simulation does
            reason = f"<class 'ClientAppException'>:<'\nMessage: {type(error).__name__}: {error}'>"
            return Message(Error(2, reason), reply_to=message)
