from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import (
    SCHEMA,
    Elapsed,
    History,
    Round,
    Run,
    Scores,
    Spread,
    environment,
    made_with,
)


def test_spread_is_that_of_the_population() -> None:
    assert Spread.over([1, 3]) == Spread(mean=2, min=1, max=3, std=1)
    assert Spread.over(iter([5.0])) == Spread(5, 5, 5, 0)
    assert Spread.over([]) is None


def history() -> History:
    spread = Spread(0.5, 0.25, 0.75, 0.1)
    scored = Round(2, Scores(spread, None), Scores(spread, spread), 0.125, 10, 5, 3, 1.5)
    run = Run("p2pl", "flower", 3, 10, {"bytes_sent": 7}, [Round(1), scored])
    return History({"rounds": 2}, environment(), [run])


def test_json_there_and_back() -> None:
    made = history()
    assert History.from_json(made.to_json()) == made
    assert made.runs[0].final() is made.runs[0].rounds[1]


def test_the_clock_is_kept_where_there_is_one() -> None:
    made = history()
    spread = Spread(2.0, 1.0, 3.0, 0.5)
    made.runs[0].rounds[1].clock = Elapsed(3.5, spread, spread, spread)
    made.runs[0].rounds[1].bytes_transmitted = 20
    made.runs[0].rounds[0].clock = Elapsed(1.5, spread, spread)
    assert History.from_json(made.to_json()) == made
    assert "clock" not in history().to_json()


def test_a_run_that_diverged_is_kept() -> None:
    lost = Spread.over([0.5, math.nan])
    scored = Round(1, None, Scores(Spread.over([0.1]), lost), consensus_distance=math.inf)
    text = History({}, {}, [Run("p2pl", "swarm", 0, 2, rounds=[scored])]).to_json()
    [[read]] = [run.rounds for run in History.from_json(text).runs]
    assert math.isnan(read.after_consensus.loss.mean)
    assert read.after_consensus.accuracy == Spread(0.1, 0.1, 0.1, 0)
    assert read.consensus_distance is None


def test_json_has_the_documented_keys() -> None:
    content = json.loads(history().to_json())
    assert content["schema"] == SCHEMA == 2
    assert content["environment"].keys() >= {
        "git_revision",
        "python",
        "flwr",
        "torch",
        "ray",
        "cpu",
        "cores",
    }
    [run] = content["runs"]
    assert run.keys() >= {"contender", "engine", "seed", "rounds"}
    first, second = run["rounds"]
    assert second == {
        "round": 2,
        "after_training": {
            "accuracy": {"mean": 0.5, "min": 0.25, "max": 0.75, "std": 0.1},
            "loss": None,
        },
        "after_consensus": {
            "accuracy": {"mean": 0.5, "min": 0.25, "max": 0.75, "std": 0.1},
            "loss": {"mean": 0.5, "min": 0.25, "max": 0.75, "std": 0.1},
        },
        "consensus_distance": 0.125,
        "bytes_sent": 10,
        "bytes_sent_busiest": 5,
        "bytes_through_server": 3,
        "seconds": 1.5,
    }
    assert first["after_consensus"] is None


def test_another_schema_is_refused() -> None:
    with pytest.raises(ConfigError, match="schema=3: must be one of 1, 2"):
        History.from_json('{"schema": 3}')


def test_keys_that_were_renamed_are_read_by_their_present_names() -> None:
    run = {"contender": "p2pl", "engine": "swarm", "seed": 0, "devices": 4, "setup": {}}
    old = {
        "schema": 1,
        "scenario": {"rounds": 3, "eval-every": 5, "eval-trained": False, "device": "cuda"},
        "environment": {},
        "runs": [{**run, "rounds": [], "settings": {"on-loss": "self", "eval-precision": "x"}}],
    }
    pulled = {**run, "contender": "p2pl_affinity", "rounds": []}
    old["runs"] += [{**pulled, "settings": {"affinity": 0.25}}, {**pulled, "settings": {}}]
    read = History.from_json(json.dumps(old))
    present = {"rounds": 3, "evaluate-every": 5, "evaluate-trained": False, "torch-device": "cuda"}
    assert list(read.scenario.items()) == list(present.items())
    assert read.runs[0].settings == {"on-missing": "self", "evaluate-precision": "x"}
    assert read.runs[0].devices == 4
    strengths = [f"p2pl-affinity:strength={strength}" for strength in (0.25, 0.5)]
    assert [(run.contender, run.settings) for run in read.runs[1:]] == [(s, {}) for s in strengths]
    network = {**old, "scenario": {"device": 3, "devices": 8}, "runs": []}
    assert History.from_json(json.dumps(network)).scenario == {"device": 3, "num-devices": 8}
    assert History.from_json(read.to_json()) == read


def test_revision_is_dirty_only_where_code_or_scenarios_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    module, result = tmp_path / "code.py", tmp_path / "history.json"
    for path in (module, result):
        path.write_text("1", encoding="utf-8")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "Begin")
    head = git("rev-parse", "HEAD")
    monkeypatch.setattr(made_with, "__file__", str(module))
    result.write_text("2", encoding="utf-8")
    assert environment()["git_revision"] == head
    module.write_text("2", encoding="utf-8")
    assert environment()["git_revision"] == f"{head}-dirty"
    installed = tmp_path / "site-packages" / "history.py"  # in a repository, but none of it
    installed.parent.mkdir()
    installed.write_text("1", encoding="utf-8")
    monkeypatch.setattr(made_with, "__file__", str(installed))
    assert environment()["git_revision"] is None
