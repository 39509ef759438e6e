"""Trackers are told what rounds measured: read back by what the real libraries have written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_grid import LocalGrid
from toy_app import START, make_app

from p2pl_flower import P2PL
from p2pl_flower.errors import ConfigError
from p2pl_flower.history import Round, Scores, Spread
from p2pl_flower.options import end, told
from p2pl_flower.options.trackers import _Tracker, scalars

ACCURACY = Spread(0.5, 0.25, 0.75, 0.125)
SCORED = Scores(ACCURACY, None, {"top-k": Spread(1, 1, 1, 0)})
ROUNDS = [Round(1, bytes_sent=8), Round(2, after_consensus=SCORED, seconds=1.5)]
NUMBERS = {
    "after_consensus/accuracy/mean": 0.5,
    "after_consensus/accuracy/min": 0.25,
    "after_consensus/accuracy/max": 0.75,
    "after_consensus/accuracy/std": 0.125,
    "after_consensus/top-k/mean": 1.0,
    "after_consensus/top-k/min": 1.0,
    "after_consensus/top-k/max": 1.0,
    "after_consensus/top-k/std": 0.0,
    "seconds": 1.5,
}


def tell(text: str) -> None:
    on_round = told(text, run="fedavg")
    for measured in ROUNDS:
        on_round(measured)
    end(on_round)


def events(folder: Path) -> dict[tuple[str, int], float]:
    """Return the scalars in a folder's event files: records of length, check, data, check."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for file in folder.glob("events.*"):
        content = file.read_bytes()
        while content:
            size = int.from_bytes(content[:8], "little")
            event = Event.FromString(content[12 : 12 + size])
            found |= {(v.tag, event.step): v.simple_value for v in event.summary.value}
            content = content[12 + size + 4 :]
    return found


def leveldb_records(content: bytes) -> Iterator[bytes]:
    """Yield the records of a log in LevelDB's format, after a header of 7 bytes."""
    at, parts = 7, b""
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def test_a_round_in_numbers() -> None:
    assert scalars(ROUNDS[0]) == {"bytes_sent": 8.0}
    assert scalars(ROUNDS[1]) == NUMBERS


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    tell(f"tensorboard:{tmp_path}")
    found = events(tmp_path / "fedavg")
    assert found == {("bytes_sent", 1): 8.0} | {(name, 2): v for name, v in NUMBERS.items()}


@pytest.mark.slow
def test_mlflow(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    tell(f"mlflow:{tmp_path},experiment=digits")
    client = mlflow.MlflowClient(tracking_uri=tmp_path.as_uri())
    experiment = client.get_experiment_by_name("digits")
    [run] = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("fedavg", "FINISHED")
    assert run.data.metrics == {"bytes_sent": 8.0, **NUMBERS}
    [accuracy] = client.get_metric_history(run.info.run_id, "after_consensus/accuracy/mean")
    assert (accuracy.step, accuracy.value) == (2, 0.5)


@pytest.mark.slow
def test_weights_and_biases(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    tell(f"wandb:project=digits,folder={tmp_path}")
    [file] = tmp_path.rglob("offline-run-*/*.wandb")
    logged, name = {}, ""
    for data in leveldb_records(file.read_bytes()):
        record = Record.FromString(data)
        name = record.run.display_name or name
        for item in record.history.item:
            logged["/".join(item.nested_key) or item.key] = item.value_json
    assert name == "fedavg"
    assert {key: float(logged[key]) for key in NUMBERS} == NUMBERS


@pytest.mark.parametrize(
    ("text", "library"),
    [("tensorboard:x", "tensorboardX"), ("mlflow:x", "mlflow"), ("wandb", "wandb")],
)
def test_a_library_that_is_not_there_is_named_before_the_run(text, library, monkeypatch) -> None:
    monkeypatch.setattr("p2pl_flower.options.trackers.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"needs {library}: pip install 'p2pl-flower\["):
        told(text)


def test_a_run_is_ended_once_by_a_call_or_when_its_logger_goes() -> None:
    ended = []

    class Ending:
        def on_round(self, measured: Round) -> None: ...

        def close(self) -> None:
            ended.append("own")

    end(told([Ending(), print]))
    end(told(print))
    end(None)
    assert ended == ["own"]
    tracker = _Tracker()
    tracker._end_by(ended.append, "tracker")
    tracker.close()
    tracker.close()
    _Tracker()._end_by(ended.append, "gone")
    assert ended == ["own", "tracker", "gone"]


def test_a_mode_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match="choose one of: offline, online"):
        told("wandb:mode=on")


def test_strategies_tell_several() -> None:
    heard, others = [], []
    app, relay = make_app()
    strategy = P2PL("ring", relay=relay, on_round=heard.append, loggers=[others.append])
    strategy.start(LocalGrid(app, 3), START, 2)
    assert [measured.round for measured in heard] == [1, 2]
    assert others == heard


def test_the_swarm_tells_several(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from p2pl_flower.swarm import simulate

    heard = []
    lines = tmp_path / "rounds.jsonl"
    data = [(torch.zeros(2, 3), torch.tensor([0, 1]))] * 3
    simulate(
        lambda: torch.nn.Linear(3, 2),
        data,
        "ring",
        rounds=2,
        progress=False,
        name="mine",
        on_round=heard.append,
        loggers=[f"json-lines:{lines}", heard.append],
    )
    assert [measured.round for measured in heard] == [1, 1, 2, 2]
    assert lines.read_text().count('"run": "mine"') == 2
