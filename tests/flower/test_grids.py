from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from local_grid import LocalGrid
from toy_app import START, add_functions

from p2pl_flower.flower import grids
from p2pl_flower.flower.grids import MeteredGrid, PacedGrid


def messages(count: int, content: RecordDict) -> list[Message]:
    return [Message(content, node, "evaluate") for node in range(count)]


def test_bytes_are_counted_both_ways() -> None:
    app = ClientApp()
    add_functions(app)
    inner = LocalGrid(app, 2)
    grid = MeteredGrid(inner)
    content = RecordDict({"arrays": START, "config": ConfigRecord({"k": 1})})
    sent = [Message(content, node, "evaluate") for node in grid.get_node_ids()]
    list(grid.send_and_receive(sent, timeout=1))
    model = sum(len(a.data) + len(name) for name, a in START.items())
    reply = sum(8 + len(k) for k in ("num-examples", "eval_loss", "eval_acc"))
    assert grid.total_bytes == 2 * (model + 8 + 1) + 2 * reply
    assert grid.array_bytes[sent[0].metadata.src_node_id] == 2 * model
    assert sum(grid.array_bytes.values()) == 2 * model
    assert grid.run.run_id == inner.run.run_id


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (True, 1),
        (3, 8),
        (2.5, 8),
        ("abc", 3),
        (b"ab", 2),
        ("", 0),
        ([1, 2], 16),
        ([], 0),
        (["", "ab"], 2),
    ],
)
def test_any_config_can_be_counted(value, size) -> None:
    # flwr's own count_bytes fails on empty texts and lists
    grid = MeteredGrid(SimpleNamespace(push_messages=list))
    grid.push_messages(messages(1, RecordDict({"c": ConfigRecord({"key": value})})))
    assert grid.total_bytes == 3 + size


class SlowGrid:
    """Answers a pulled message on the second time of asking, and notes how many it holds."""

    def __init__(self, dead: tuple[int, ...] = ()) -> None:
        self.held: dict[str, list] = {}
        self.most = 0
        self.dead = dead

    def push_messages(self, pushed):
        ids = []
        for message in pushed:
            key = f"{message.metadata.dst_node_id}"
            self.held[key] = [message, 0]
            ids.append(key)
        self.most = max(self.most, len(self.held))
        return ids

    def pull_messages(self, ids):
        replies = []
        for key in list(ids):
            entry = self.held[key]
            entry[1] += 1
            if entry[1] > 1 and int(key) not in self.dead:
                reply = Message(RecordDict({"m": MetricRecord({"x": int(key)})}), reply_to=entry[0])
                reply.metadata.__dict__["_reply_to_message_id"] = key
                replies.append(reply)
                del self.held[key]
        return replies


def test_only_so_many_messages_are_in_flight() -> None:
    slow = SlowGrid()
    replies = PacedGrid(slow, window=4).send_and_receive(messages(11, RecordDict()))
    assert sorted(r.content["m"]["x"] for r in replies) == list(range(11))
    assert slow.most == 4


@pytest.mark.slow
def test_silent_nodes_cost_the_timeout_and_no_more() -> None:
    slow = SlowGrid(dead=(0, 5))
    started = time.monotonic()
    replies = PacedGrid(slow, window=4).send_and_receive(messages(8, RecordDict()), timeout=1.5)
    assert sorted(r.content["m"]["x"] for r in replies) == [1, 2, 3, 4, 6, 7]
    assert time.monotonic() - started < 10


@pytest.mark.slow
def test_nodes_that_never_answer_do_not_block_the_others(monkeypatch) -> None:
    monkeypatch.setattr(grids, "_SILENCE_SECONDS", 0.3)
    slow = SlowGrid(dead=(0, 1, 2, 3))
    replies = PacedGrid(slow, window=4).send_and_receive(messages(8, RecordDict()), timeout=3)
    assert sorted(r.content["m"]["x"] for r in replies) == [4, 5, 6, 7]


def test_no_messages_take_no_time() -> None:
    assert list(PacedGrid(SlowGrid()).send_and_receive([], timeout=60)) == []


def test_arrays_are_counted_by_their_bytes() -> None:
    grid = MeteredGrid(SimpleNamespace(push_messages=list))
    arrays = ArrayRecord({"w": Array(np.zeros(10, np.float32))})
    grid.push_messages(messages(1, RecordDict({"a": arrays})))
    assert list(grid.array_bytes.values()) == [arrays.count_bytes()]
