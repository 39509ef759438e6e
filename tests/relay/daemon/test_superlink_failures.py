"""SuperNodes and relays that end and come again while a real SuperLink runs the rounds."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from federation import Federation

pytestmark = pytest.mark.slow

ROUNDS = 5
SECONDS = 400  # a SuperLink takes a minute to see that a SuperNode was killed


class Watched:
    """A run that waits after each round until it is told to go on."""

    def __init__(self, folder: Path, running: subprocess.Popen[str]) -> None:
        self.folder, self.running, self.printed = folder, running, list[str]()
        self.round, self.said = 0, ""

    def next_round(self) -> list[int]:
        """Let the run go on, and return the devices that trained in the next round."""
        (self.folder / f"go-{self.round}").touch()
        for line in self.running.stdout:
            self.printed.append(line)
            if "TRAINED " in line:
                self.round, trained = json.loads(line.partition("TRAINED ")[2])
                return trained
        raise AssertionError("".join(self.printed))

    def end(self) -> str:
        (self.folder / f"go-{self.round}").touch()
        self.printed.extend(self.running.stdout)
        assert self.running.wait(60) == 0
        return "".join(self.printed)


@pytest.fixture
def federation(tmp_path):
    made = Federation(tmp_path, devices=3)
    try:
        made.start()
        yield made
    finally:
        made.end()


def test_no_node_and_no_relay_that_ends_ends_the_run(federation, tmp_path) -> None:
    run = Watched(tmp_path, federation.flwr_run(f'rounds={ROUNDS} devices=3 gate="{tmp_path}"'))
    began = time.monotonic()
    try:
        assert run.next_round() == [0, 1, 2]
        federation.signal("node-1", signal.SIGTERM)
        federation.signal("relay-2", signal.SIGKILL)
        federation.start_relay(2)
        federation.wait_for_relay(2)
        assert run.next_round() == [0]  # device 2's model went with its relay
        federation.start_node(1)
        trained = [run.next_round(), run.next_round()]
        assert trained[-1] == [0, 1, 2], trained
        federation.signal("node-0", signal.SIGKILL)
        assert run.next_round() == [1, 2]
        said = run.end()
    finally:
        run.running.kill()
    assert "device 1 is back" in said
    assert "SAID " in said
    assert time.monotonic() - began < SECONDS
