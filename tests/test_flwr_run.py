"""``flwr run .`` at the root, as a user types it: a SuperLink, an app bundle, a simulation."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray")

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


@pytest.fixture
def flower_home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    mark = f"FLWR_HOME={tmp_path}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes() and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGTERM)


def flwr_run(home: Path, nodes: int, config: str) -> str:
    environment = {
        **os.environ,
        "FLWR_HOME": str(home),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "FLWR_TELEMETRY_ENABLED": "0",
    }
    command = [str(BIN / "flwr"), "run", str(ROOT), "--stream"]
    options = ["--federation-config", f"num-supernodes={nodes}", "--run-config", config]
    done = subprocess.run(
        [*command, *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stdout


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the SuperLink through /proc")
def test_both_strategies_run_as_a_flower_app(flower_home: Path) -> None:
    p2pl = flwr_run(flower_home, 8, 'strategy="p2pl" dataset="digits" rounds=2 topology="ring"')
    assert "Starting P2PL strategy" in p2pl, p2pl
    assert "accuracy after consensus" in p2pl, p2pl
    assert "| p2pl " in p2pl, p2pl
    fedavg = flwr_run(flower_home, 4, 'strategy="fedavg" dataset="digits" rounds=2')
    assert "Starting FedAvg strategy" in fedavg, fedavg
    assert "| fedavg " in fedavg, fedavg
    few = flwr_run(flower_home, 4, 'strategy="p2pl" num-devices=9 rounds=2')
    assert "num-devices=9: must be at most the number of SuperNodes, and 4 are connected" in few, (
        few
    )
