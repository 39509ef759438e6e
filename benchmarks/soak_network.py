"""Peers on hosts of their own that are killed, stopped and started again, for the soak."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import networkx as nx
import tomli_w

from benchmarks.memory import NOW, memory
from p2pl_flower.history import History
from p2pl_flower.relay.grpc.certificates import make_certificates

TESTS = Path(__file__).resolve().parents[1] / "tests" / "serverless"
PORT = 9400
_ROUND = re.compile(rb"round +(\d+)")


def router_module() -> Any:
    """Return the module of the user-space router, which is with the tests."""
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))
    return import_module("tun_router")


@dataclass
class Life:
    """A process of a device, from its start to its end.

    Attributes
    ----------
    ends : list[tuple[float, int]]
        When rounds were over, in seconds of `time.monotonic`, and which.
    stops : list[tuple[float, float]]
        When it was stopped, and went on.
    """

    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    ends: list[tuple[float, int]] = field(default_factory=list)
    stops: list[tuple[float, float]] = field(default_factory=list)


class Device:
    """A device that lives again and again, on one host.

    Parameters
    ----------
    number : int
        The device.
    command : list[str]
        What starts it.
    folder : Path
        Where its log and its history are.
    """

    def __init__(self, number: int, command: list[str], folder: Path) -> None:
        self.number, self._command, self._folder = number, command, folder
        self.lives: list[Life] = []
        self._log = folder / f"device-{number}.log"

    @property
    def life(self) -> Life:
        """The last process."""
        return self.lives[-1]

    @property
    def round(self) -> int:
        """The last round that the process has told of; 0 before the first."""
        return self.life.ends[-1][1] if self.life.ends else 0

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.life.process.poll() is None

    def start(self) -> None:
        """Begin a life, which goes on from the checkpoint."""
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._command,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            )
        self.lives.append(Life(process))
        threading.Thread(target=self._read, args=(self.life,), daemon=True).start()

    def kill(self, number: int) -> None:
        """End the process by a signal, and wait until it has ended."""
        self.life.process.send_signal(number)
        self.life.process.wait(60)

    def sleep(self, seconds: float) -> None:
        """Stop the process for some seconds."""
        life, begun = self.life, time.monotonic()
        life.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        life.process.send_signal(signal.SIGCONT)
        life.stops.append((begun, time.monotonic()))

    def until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Wait for a condition while the process runs, some seconds at most; tell if it came."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or not self.is_running:
                return False
            time.sleep(0.0005)
        return True

    def measure(self) -> tuple[int, int]:
        """Return the process's resident memory in bytes, and its open files."""
        number = self.life.process.pid
        try:
            return memory(NOW, number), len(os.listdir(f"/proc/{number}/fd"))
        except OSError:
            return 0, 0

    def history(self) -> History:
        """Return what it has measured, in all of its lives."""
        return History.load(self._folder / f"device-{self.number}.json")

    @property
    def is_saving(self) -> bool:
        """Whether it writes its checkpoint at this moment."""
        folder = self._folder / f"state-{self.number}"
        return folder.is_dir() and any(name.endswith(".part") for name in os.listdir(folder))

    def _read(self, life: Life) -> None:
        out = life.process.stdout
        assert out is not None  # noqa: S101
        for line in out:
            if found := _ROUND.search(line):
                life.ends.append((time.monotonic(), int(found[1])))
        out.close()


def devices(
    router: Any, graph: nx.Graph, folder: Path, common: dict[str, Any]
) -> dict[int, Device]:
    """Make a host for each node of a graph, and the files of the device on it; start none."""
    folder.mkdir(parents=True)
    make_certificates(folder / "certificates", graph)
    places = {k: f"{router.host(f'd{k}')}:{PORT}" for k in sorted(graph)}
    made = {}
    for k in sorted(graph):
        values = {
            "device": k,
            "num-devices": len(graph),
            "listen": places[k],
            "neighbors": {str(j): places[j] for j in sorted(graph[k])},
            "app": "digits_app:app",
            "sync-steps": nx.diameter(graph),
            "certificates": str(folder / "certificates"),
            "checkpoint": str(folder / f"state-{k}"),
            "history": str(folder / f"device-{k}.json"),
            **common,
        }
        file = folder / f"device-{k}.toml"
        file.write_text(tomli_w.dumps(values), encoding="utf-8")
        command = [sys.executable, "-m", "p2pl_flower", "peer", str(file)]
        made[k] = Device(k, router.command(f"d{k}", command), folder)
    return made
