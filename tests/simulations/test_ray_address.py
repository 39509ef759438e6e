"""Both engines on a Ray cluster of two nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import flower_runs
import pytest

from p2pl_flower.history import History
from simulations.compare import compare
from simulations.scenario import Scenario
from simulations.swarm_engine import make_swarm

pytestmark = pytest.mark.slow

SETTINGS = {
    "contenders": "p2pl",
    "num-devices": 4,
    "topology": "ring",
    "rounds": 2,
    "batch-size": 50,
}

_ON_TWO_NODES = """
from p2pl_flower import relay
from p2pl_flower.relay import AutoRelay
opened = AutoRelay.open
def watched(self, run):
    opened(self, run)
    print("relay", type(self._chosen[run]).__name__)
AutoRelay.open = watched
import sys
from simulations.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with flower_runs.ray_cluster(cpus=1, nodes=2) as found:
        yield found


def run_on(address: str, out: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    changes = {**SETTINGS, **more}
    pairs = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-W", "ignore", "-c", _ON_TWO_NODES, "compare", "demo", *pairs]
    return subprocess.run(
        [*command, *options, "--ray-address", address, "--out", str(out)],
        env={**os.environ, "FLWR_TELEMETRY_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_models_move_by_ray_to_the_same_numbers(address: str, tmp_path: Path) -> None:
    done = run_on(address, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "relay RayRelay" in done.stdout
    [run] = History.load(tmp_path / "history.json").runs
    scenario = Scenario.load("demo", SETTINGS)
    [contender] = scenario.named_contenders()
    swarm = make_swarm(scenario, contender, lambda *_: None).run()
    for measured, expected in zip(run.rounds, swarm.rounds, strict=True):
        if expected.after_consensus is not None:
            assert measured.after_consensus is not None
            loss = measured.after_consensus.loss.mean
            assert loss == pytest.approx(expected.after_consensus.loss.mean, rel=1e-4)


def test_files_are_refused_there(address: str, tmp_path: Path) -> None:
    done = run_on(address, tmp_path, relay="file")
    assert done.returncode != 0
    assert "FileRelay serves devices of one machine, and this Ray cluster has 2 nodes" in (
        done.stdout + done.stderr
    )


def test_the_swarm_runs_there_too(address: str, tmp_path: Path) -> None:
    contenders = "p2pl,fedavg,centralized"
    done = run_on(address, tmp_path, "--engine", "swarm", contenders=contenders)
    assert done.returncode == 0, done.stdout + done.stderr
    scenario = Scenario.load("demo", {**SETTINGS, "contenders": contenders})
    expected = compare(scenario, tmp_path / "one", "swarm")
    for found, one in zip(History.load(tmp_path / "history.json").runs, expected.runs, strict=True):
        loss = found.final().after_consensus.loss
        assert loss.mean == pytest.approx(one.final().after_consensus.loss.mean, rel=1e-4)
