"""Peers on hosts of their own, most of which nobody can dial, and one that joins them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import tomli_w
from namespaces import Internet, unavailable

from p2pl_flower.history import History
from p2pl_flower.relay.grpc.certificates import make_certificates

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(unavailable()), reason=unavailable()),
]

ROUNDS, JOINS_IN, DEADLINE = 16, 5, 300
PUBLIC, HIDDEN = (0, 1, 2), (3, 4, 5, 6, 7)


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.2)


def accuracies(path: Path) -> dict[int, float]:
    """Return a device's accuracy by round, so far."""
    try:
        [run] = History.load(path).runs
    except (OSError, ValueError, json.JSONDecodeError):
        return {}
    scored = [r for r in run.rounds if r.after_consensus is not None]
    return {r.round: r.after_consensus.accuracy.mean for r in scored}


class Peers:
    """The commands of all hosts."""

    def __init__(self, internet: Internet, folder: Path) -> None:
        self._internet, self._folder = internet, folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, host: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "p2pl_flower", *arguments]
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        with (self._folder / f"{host}.log").open("wb") as log:
            self.running[host] = subprocess.Popen(
                self._internet.command(host, command),
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            )

    def log(self, host: str) -> str:
        return (self._folder / f"{host}.log").read_text(errors="replace")


def test_one_joins_eight_of_which_five_can_only_dial_out(tmp_path) -> None:
    certificates = tmp_path / "certificates"
    make_certificates(certificates, range(8))
    with Internet(f"p2pl{os.getpid()}") as internet:
        places = {k: f"{internet.public(f'd{k}')}:9400" for k in PUBLIC}
        for k in HIDDEN:
            internet.behind_nats(f"d{k}", nats=2 if k == HIDDEN[-1] else 1)
        internet.behind_nats("late")
        peers = Peers(internet, tmp_path)
        try:
            for k in range(8):
                path = tmp_path / f"device-{k}.toml"
                path.write_text(tomli_w.dumps(settings(k, places, certificates, tmp_path)))
                peers.start(f"d{k}", "peer", str(path))
            first = tmp_path / "0.json"
            until(lambda: max(accuracies(first), default=0) >= JOINS_IN)
            invite = [sys.executable, "-m", "p2pl_flower", "invite", places[0]]
            invite += ["--authority", str(certificates), "--name", "late"]
            line = subprocess.run(invite, check=True, capture_output=True, text=True).stdout
            mine = ["--set", f"history={tmp_path / 'late.json'}", "--out", str(tmp_path / "late")]
            mine += ["--rendezvous", places[0]]
            peers.start("late", "join", "--invitation", line.strip(), *mine)
            for host, process in peers.running.items():
                assert process.wait(DEADLINE) == 0, peers.log(host)
        finally:
            for process in peers.running.values():
                process.kill()
                process.wait()
    late = accuracies(tmp_path / "late.json")
    third = sorted(late)[3]  # three rounds after its first
    assert third < ROUNDS, "it came too late to say anything"
    others = [accuracies(tmp_path / f"{k}.json") for k in range(8)]
    assert all(max(scores) == ROUNDS for scores in others)
    assert late[third] >= mean(scores[third] for scores in others if third in scores) - 0.005


def settings(k: int, places: dict[int, str], certificates: Path, folder: Path) -> dict[str, Any]:
    own = {"listen": places.get(k, "dial-out"), "neighbors": {} if k == 0 else {"0": places[0]}}
    own |= {"authority": str(certificates), "serve-rendezvous": True} if k == 0 else {}
    own |= {"rendezvous": places[0]} if k in HIDDEN else {}
    return {
        "device": k,
        "num-devices": 8,
        "app": "digits_app:app",
        "rounds": ROUNDS,
        "certificates": str(certificates),
        "checkpoint": str(folder / f"state-{k}"),
        "history": str(folder / f"{k}.json"),
        "joining": {"links": 3},
        "run-config": {"pause": 2.0},
        "linger": 5,
        **own,
    }
