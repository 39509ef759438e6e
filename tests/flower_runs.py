"""Runs as users start them: ``flwr run``, on one SuperLink and one Ray cluster."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import reaper

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
LIMIT = 300
CPUS = 2  # what Ray may give out, whatever the machine has
_ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # threads that wait for each other stall a busy machine

_FLWR = """
import sys
from flwr.cli import local_superlink
from flwr.cli.app import app
local_superlink.LOCAL_SUPERLINK_STARTUP_TIMEOUT = 120.0
local_superlink.CONTROL_API_PROBE_TIMEOUT = 5.0
sys.argv[0] = "flwr"
app()
"""
"""The command ``flwr``, with more than its 15 s for a SuperLink to start on a busy machine."""


@contextmanager
def ray_cluster(cpus: int = CPUS, nodes: int = 1) -> Iterator[str]:
    """Start a Ray cluster in a process of its own and give its address."""
    head = str(HERE / "ray_head.py")
    command = [sys.executable, "-W", "ignore", head, str(cpus), str(nodes)]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | _ONE_THREAD
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as head:
        lines = iter(head.stdout.readline, "")
        yield next(line for line in lines if line.startswith("address=")).strip()[8:]
        head.stdin.close()
        head.wait(timeout=60)


class Flower:
    """A Flower home with a SuperLink of its own, which the first ``flwr run`` starts."""

    def __init__(self, home: Path, ray_address: str) -> None:
        port = str(_free_port())
        self.home = home
        self.environment = {
            **os.environ,
            **_ONE_THREAD,
            "FLWR_HOME": str(home),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": port,
            "FLWR_LOCAL_CONTROL_API_PORT": port,  # what flwr 1.30 calls it
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "RAY_ADDRESS": ray_address,
        }
        self._reaper = subprocess.Popen(
            [sys.executable, str(HERE / "reaper.py"), str(home)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # what is sent to all of the tests' processes spares it
        )

    def run(self, app: Path, nodes: int, config: str = "", workers: int = CPUS) -> str:
        """Run an app and return what it printed.

        Runs at the same time must have one worker each: where each had half of its workers, both
        would wait for the other's CPU.
        """
        federation = f"num-supernodes={nodes} client-resources-num-cpus={CPUS // workers}"
        options = ["--federation-config", federation]
        options += ["--run-config", config] if config else []
        try:
            done = subprocess.run(
                [sys.executable, "-c", _FLWR, "run", str(app), "--stream", *options],
                env=self.environment,
                cwd=self.home,  # where server apps write what they save
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            reaper.end(str(self.home))  # the run goes on without the command, and keeps its CPUs
            raise
        return done.stdout

    def stop(self) -> None:
        """Stop the SuperLink and all that it has started."""
        self._reaper.communicate(timeout=60)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
