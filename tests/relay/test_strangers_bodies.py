"""Whatever a stranger's body is, it is a refusal in words: soon, and in little memory."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest

from benchmarks.fuzz import CORPUS, TARGETS, corpus, run
from p2pl_flower.relay import Slot
from p2pl_flower.relay.grpc import checking
from p2pl_flower.relay.grpc.protocol import Refusal, RefusedError
from p2pl_flower.relay.spool import Spool

SLOT = Slot("model", 1, 0)


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_worth_keeping_is_read_or_refused(target: str) -> None:
    assert corpus(target)
    for body in corpus(target):
        TARGETS[target](body)


def test_every_kept_body_has_its_parser() -> None:
    assert {path.name.partition("-")[0] for path in CORPUS.iterdir()} == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_random_bodies_are_read_or_refused(target: str) -> None:
    run(target, examples=150, number=1, found=[])


def body(header: bytes, data: int = 0) -> bytes:
    return len(header).to_bytes(8, "little") + header + bytes(data)


def refusal(content: bytes) -> RefusedError:
    document = Spool().keep(len(content), [content])
    with pytest.raises(RefusedError) as refused:
        checking.checked(document, None, SLOT, sender=1)
    return refused.value


NUMBERS = b",".join([b"9" * 4200] * 1200)
COSTLY = {
    "huge integers": body(b'{"w":{"dtype":"F32","shape":[' + NUMBERS + b"]}}"),
    "numbers": body(b'{"w":[' + b"1," * 2_500_000 + b"1]}"),
    "names": body(json.dumps({f"{i:07}": 1 for i in range(400_000)}).encode()),
    "a long header": body(b"[" + b"0," * 120_000 + b"0]", 3_000_000),
}


@pytest.mark.parametrize("content", COSTLY.values(), ids=COSTLY)
def test_a_body_costs_little_to_refuse(content: bytes) -> None:
    tracemalloc.start()
    try:
        assert refusal(content).refusal is Refusal.MALFORMED
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 1.2 * len(content)
    started = time.thread_time()
    assert len(str(refusal(content))) < 500
    assert time.thread_time() - started <= 0.1 + len(content) / 100e6


def test_a_fault_of_our_own_in_reading_is_a_refusal(monkeypatch) -> None:
    def fail(model: object) -> None:
        raise ZeroDivisionError("whatever")

    monkeypatch.setattr(checking, "not_finite", fail)
    assert "ZeroDivisionError: whatever" in str(refusal(body(b"{}")))
