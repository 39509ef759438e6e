"""Peers that are killed come back, go on from where they were, and catch up."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import networkx as nx
import pytest
from devices import ended, history, settings, start

pytestmark = pytest.mark.slow

ROUNDS = 14


def rounds_over(folder: Path, device: int) -> list[int]:
    file = folder / f"device-{device}.json"
    return [r.round for r in history(folder, device).runs[0].rounds] if file.exists() else []


def wait_until(reached, what: str, seconds: float = 150) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def test_half_of_the_peers_are_killed_and_come_back(tmp_path) -> None:
    made = settings(
        nx.cycle_graph(8),
        tmp_path,
        rounds=ROUNDS,
        insecure=True,
        waiting={"deadline": 4.0, "grace": 0.2},
        linger=60,
        run_config={"seconds": 0.4, "log": str(tmp_path), "noise": 0.1},
    )
    peers = {d: start(values, tmp_path) for d, values in made.items()}
    killed = (1, 2, 5, 7)
    for place, device in enumerate(killed):  # at instants that differ, within their rounds
        wait_until(
            lambda d=device: len(rounds_over(tmp_path, d)) >= 2, f"device {device} in round 3"
        )
        time.sleep(0.13 * place)
        peers[device].kill()
        assert ended(peers[device], 30) == -signal.SIGKILL
    left = {d: rounds_over(tmp_path, d) for d in killed}
    wait_until(lambda: len(rounds_over(tmp_path, 4)) >= 6, "the others go on")
    for device in killed:
        peers[device] = start(made[device], tmp_path)
    logs = {d: tmp_path / f"device-{d}.log" for d in made}
    for device, peer in peers.items():
        assert ended(peer, 150) == 0, logs[device].read_text()
    for device in made:
        [run] = history(tmp_path, device).runs
        done, skipped = [r.round for r in run.rounds], run.setup["skipped_rounds"]
        assert sorted(done + skipped) == list(range(1, ROUNDS + 1))  # none twice, none lost
        assert done == sorted(done)
        trained = [line.split() for line in logs[device].read_text().splitlines() if _is_log(line)]
        lives = list(dict.fromkeys(pid for _, pid in trained))
        assert len(lives) == (2 if device in killed else 1)
        for pid in lives:
            numbers = [int(number) for number, p in trained if p == pid]
            assert numbers == sorted(set(numbers))
        if device in killed:
            assert done[: len(left[device])] == left[device]
            first_again = min(int(number) for number, p in trained if p == lives[1])
            assert first_again > left[device][-1]  # what was over was not trained anew
            assert "goes on after round" in logs[device].read_text()
        else:
            assert skipped == []
    absent = history(tmp_path, 0).runs[0].setup["answers"]["1"]
    assert absent["absent"] >= 1
    assert absent["arrived"] >= 2


def _is_log(line: str) -> bool:
    return len(line.split()) == 2 and line.replace(" ", "").isdigit()
