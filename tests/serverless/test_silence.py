"""A neighbor that falls silent, as a laptop does that is put to sleep, and wakes up again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import networkx as nx
import pytest
from devices import ended, history, settings, setup_of, start

pytestmark = pytest.mark.slow

ROUNDS, SECONDS, DEADLINE = 16, 1.0, 4.0
SLEEPER = 2


def trained(folder: Path, device: int) -> int:
    log = folder / f"device-{device}.log"
    if not log.exists():
        return 0
    return len([line for line in log.read_text().splitlines() if "round " in line])


def wait_until(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_one_that_sleeps_costs_the_others_one_deadline(tmp_path) -> None:
    made = settings(
        nx.complete_graph(3),
        tmp_path,
        rounds=ROUNDS,
        waiting={"deadline": DEADLINE},
        run_config={"seconds": SECONDS},
        linger=20,
    )
    running = {d: start(values, tmp_path) for d, values in made.items()}
    wait_until(lambda: trained(tmp_path, 0) >= 3)
    os.kill(running[SLEEPER].pid, signal.SIGSTOP)
    fell_silent = trained(tmp_path, 0)
    wait_until(lambda: trained(tmp_path, 0) >= fell_silent + 6)
    os.kill(running[SLEEPER].pid, signal.SIGCONT)
    assert [ended(process, 120) for process in running.values()] == [0, 0, 0]
    for device in (0, 1):
        [run] = history(tmp_path, device).runs
        seconds = [r.seconds for r in run.rounds]
        normal = sorted(seconds[:fell_silent])[fell_silent // 2]
        assert max(seconds[fell_silent + 1 : fell_silent + 6]) <= 1.2 * normal, seconds
        answers = run.setup["answers"]
        assert answers[str(1 - device)]["arrived"] >= ROUNDS  # from the one that is awake
    assert setup_of(tmp_path, SLEEPER)["skipped_rounds"]
    [slept] = history(tmp_path, SLEEPER).runs
    assert slept.rounds[-1].round == ROUNDS
