"""The experiment on attacks: its runs are kept, and its table is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from p2pl_flower.history import History
from simulations.attacks import experiment
from simulations.attacks.__main__ import main
from simulations.sweep import combinations

FILE = """
[scenario]
dataset = "digits"
num-devices = 6
model = "logistic"
topology = "complete"
rounds = 1
evaluate-every = 1

[[vary]]
contender = "p2pl"
attack = ["none", "sign-flip:fraction=0.34,scale=50"]
mixing = ["weighted", "median"]
"""


@pytest.mark.slow
def test_runs_are_kept_and_rendered(tmp_path: Path, monkeypatch) -> None:
    file, out = tmp_path / "small.toml", tmp_path / "out"
    file.write_text(FILE)
    assert main(["--file", str(file), "--seeds", "2", "--out", str(out)]) == 0
    history = History.load(out / "history.json")
    assert [(r.settings["mixing"], r.seed) for r in history.runs[:3]] == [
        ("weighted", 0),
        ("median", 0),
        ("weighted", 0),
    ]
    header, *rows = json.loads((out / "table.json").read_text())["table"]
    assert header[:4] == ["contender", "attack", "mixing", "init"]
    assert [row[-1] for row in rows] == ["2"] * 4
    mean = {(row[1], row[2]): float(row[4]) for row in rows}
    attack = "sign-flip:fraction=0.34,scale=50"
    assert mean[attack, "weighted"] < mean[attack, "median"] - 20
    by_hand = [
        r.final().after_consensus.accuracy.mean
        for r in history.runs
        if r.settings == {"attack": "none", "mixing": "median"}
    ]
    assert mean["none", "median"] == round(50 * sum(by_hand), 2)

    def never(*_: object) -> None:
        raise AssertionError("it is done already")

    monkeypatch.setattr(experiment, "run_contender", never)
    assert main(["--file", str(file), "--seeds", "2", "--out", str(out)]) == 0
    assert len(History.load(out / "history.json").runs) == 8


def test_what_is_shipped_is_valid() -> None:
    import tomllib

    content = tomllib.loads(experiment.FILE.read_text())
    for variant in combinations(content["vary"]):
        experiment.scenario_of(content["scenario"], variant, 0)
