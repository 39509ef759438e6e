"""``flwr run .`` at the root, as a user types it: a SuperLink, an app bundle, a simulation."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flower_runs import Flower

pytestmark = pytest.mark.slow

pytest.importorskip("ray")

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the SuperLink through /proc")
def test_both_strategies_run_as_a_flower_app(flower: Flower, tmp_path: Path) -> None:
    p2pl = flower.run(ROOT, 8, 'strategy="p2pl" dataset="digits" rounds=2 topology="ring"')
    assert "Starting P2PL strategy" in p2pl, p2pl
    assert "accuracy after consensus" in p2pl, p2pl
    assert "| p2pl " in p2pl, p2pl
    # Each time Flower looks at all files of an app, those of an environment inside it too.
    app = tmp_path / "app"
    shutil.copytree(ROOT, app, ignore=shutil.ignore_patterns(".venv*", ".git"))
    fedavg = flower.run(app, 4, 'strategy="fedavg" dataset="digits" rounds=2')
    assert "Starting FedAvg strategy" in fedavg, fedavg
    assert "| fedavg " in fedavg, fedavg
    few = flower.run(app, 4, 'strategy="p2pl" num-devices=9 rounds=2')
    assert "num-devices=9: must be at most the number of SuperNodes, and 4 are connected" in few, (
        few
    )
