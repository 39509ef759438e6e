from __future__ import annotations

import pytest
from flwr.app import MetricRecord

from p2pl_flower.flower.metrics import RoundMetrics, scores
from p2pl_flower.history import Round


def test_accuracy_and_loss_are_found_by_name() -> None:
    metrics = [
        MetricRecord(
            {"num-examples": 9, "eval_acc": acc, "eval_loss": 2.0, "after-training-acc": 0.9}
        )
        for acc in (0.25, 0.75)
    ]
    found = scores(metrics)
    assert (found.accuracy.mean, found.accuracy.min, found.accuracy.max) == (0.5, 0.25, 0.75)
    assert found.loss.mean == 2
    assert scores(metrics, "after-training-").accuracy.mean == pytest.approx(0.9)
    assert scores(metrics, "after-training-").loss is None
    assert scores([MetricRecord({"f1": 0.5})]) is None
    assert scores([]) is None


def test_a_round_from_begin_to_end() -> None:
    seen: list[Round] = []
    keeper = RoundMetrics(seen.append)
    keeper.begin(1, server_bytes=100)
    keeper.after_consensus([MetricRecord({"accuracy": 0.5})])
    keeper.distance(0.25)
    keeper.end(server_bytes=130)
    keeper.begin(2, server_bytes=130)
    keeper.end(server_bytes=150)
    assert [r.round for r in seen] == [1, 2]
    assert [r.bytes_through_server for r in keeper.rounds] == [30, 20]
    assert keeper.rounds[0].consensus_distance == 0.25
    assert keeper.rounds[1].after_consensus is None
    keeper.sent({1: {0: 5, 3: 7}})
    assert [(r.bytes_sent, r.bytes_sent_busiest) for r in keeper.rounds] == [(12, 7), (0, 0)]
