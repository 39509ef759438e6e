"""The main job, from its command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from p2pl_flower.history import History
from simulations.__main__ import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "scenario='nowhere'"),
        (["--set", "colour=red"], "colour='red': unknown key"),
        (["--engine", "warp"], "engine='warp'"),
        (["--set", "num-devices=5000"], "from 1 to the number of training samples, 1442"),
        (["--set", "num-devices=1"], "num-devices=1"),
        (["mnist", "--set", "data-dir=no/such/folder"], "data-dir='no/such/folder'"),
        (["--set", "topology=erdos-renyi:p=2"], "must be in (0, 1]"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, words, tmp_path, capsys) -> None:
    folder = tmp_path / "out"
    assert main(["compare", *arguments, "--out", str(folder)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert words in printed.err
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_refused_before_the_run(tmp_path, capsys) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert main(["compare", "--out", str(file / "results")]) == 2
    assert "must be a folder that can be written to" in capsys.readouterr().err


def test_compare_end_to_end(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    settings = [
        "contenders=p2pl,p2pl-affinity,fedavg,centralized",
        "num-devices=6",
        "rounds=3",
        "evaluate-every=2",
        "topology=ring",
        "links=bernoulli:up=0.7",
        "partition=dirichlet:0.5",
        "learning-rate=0.1",
        "local-epochs=3",
    ]
    command = [sys.executable, "-W", "ignore", "-m", "simulations", "compare", "demo"]
    options = [part for setting in settings for part in ("--set", setting)]
    done = subprocess.run(
        [*command, *options, "--out", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| p2pl" in done.stdout
    assert "Models are scored on 355 images: each is 0.28 points." in done.stdout
    assert "centralized  round   3" in done.stderr
    written = {path.name for path in folder.iterdir()}
    assert written >= {"history.json", "report.md", "accuracy.png", "graph.png"}
    history = History.load(folder / "history.json")
    assert json.loads((folder / "history.json").read_text())["schema"] == 2
    assert [run.contender for run in history.runs] == [
        "p2pl",
        "p2pl-affinity",
        "fedavg",
        "centralized",
    ]
    for run in history.runs:
        assert [r.after_consensus is not None for r in run.rounds] == [False, True, True]
        assert [r.after_training is not None for r in run.rounds] == [False, True, True]
        assert all(r.seconds and r.bytes_through_server for r in run.rounds)
        assert run.final().after_consensus.accuracy.mean > 0.2
    p2pl, affinity, fedavg, centralized = history.runs
    assert fedavg.final().after_consensus.accuracy.std == 0
    assert centralized.devices == 1
    assert p2pl.rounds[0].bytes_sent > 0
    assert p2pl.rounds[1].bytes_through_server < 0.01 * fedavg.rounds[1].bytes_through_server
    # affinity acts from round 2 on
    assert affinity.rounds[0].bytes_sent == p2pl.rounds[0].bytes_sent
    assert affinity.final().consensus_distance != p2pl.final().consensus_distance
