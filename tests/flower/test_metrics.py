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
    assert scores([MetricRecord({"num-examples": 5})]) is None
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


@pytest.mark.parametrize(
    ("metrics", "accuracy"),
    [
        ({"Accuracy": 0.75}, 0.75),
        ({"ACC": 0.75}, 0.75),
        ({"acc_per_class": [0.1, 0.9], "accuracy": 0.75}, 0.75),
        ({"acc_at_start": 0.1, "accuracy": 0.75}, 0.75),
        ({"balanced_accuracy": 0.1, "test_acc": 0.75}, 0.75),
        ({"train_accuracy": 0.1, "valAccuracy": 0.75}, 0.75),
        ({"top5_acc": 0.9, "eval_acc": 0.75}, 0.75),
        ({"train_acc": 0.75}, 0.75),
        ({"accumulated_steps": 3, "vaccinated": 2, "account": 1}, None),
        ({"acc_per_class": [0.1, 0.9]}, None),
    ],
)
def test_the_accuracy_that_is_meant_is_shown(metrics: dict, accuracy: float | None) -> None:
    found = scores([MetricRecord({"num-examples": 5, **metrics})] * 3)
    spread = found and found.accuracy
    assert (spread and spread.mean) == accuracy


def test_it_is_the_same_metric_on_all_devices() -> None:
    records = [{"accuracy": 0.5, "test_accuracy": 0.1}, {"test_accuracy": 0.2}, {"accuracy": 0.7}]
    found = scores(MetricRecord(r) for r in records)
    assert (found.accuracy.min, found.accuracy.max) == (0.5, 0.7)


@pytest.mark.parametrize(
    ("metrics", "loss"),
    [
        ({"Loss": 2.0}, 2.0),
        ({"test_logloss": 2.0}, 2.0),
        ({"train_loss": 9.0, "eval_loss": 2.0}, 2.0),
        ({"lossless": 1.0}, None),
    ],
)
def test_the_loss_that_is_meant_is_shown(metrics: dict, loss: float | None) -> None:
    found = scores([MetricRecord(metrics)])
    assert (found.loss and found.loss.mean) == loss


def test_other_metrics_are_kept_by_name_but_for_the_number_of_samples() -> None:
    records = [{"n": 5, "num-examples": 2, "acc": 0.5, "f1": 0.25, "each": [1.0]}, {"f1": 0.75}]
    found = scores([MetricRecord(r) for r in records], count="n")
    assert found.accuracy.mean == 0.5
    assert {name: spread.mean for name, spread in found.metrics.items()} == {
        "num-examples": 2,
        "f1": 0.5,
    }
