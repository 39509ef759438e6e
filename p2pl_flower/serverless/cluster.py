"""Several peers as processes of this machine: a network to try things out on."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import networkx as nx

from ..errors import ConfigError, DeviceError, P2PLError
from ..history import History, Round, Run
from ..topology import diameter, schedule
from .merging import merge

log = logging.getLogger("flwr.p2pl")

_PRELOADED = ("p2pl_flower.serverless.process",)
_STOP_SECONDS = 10.0
_OWN = ("device", "num-devices", "listen", "neighbors", "history", "metrics")
"""Keys that cannot be the same on all devices."""

Event = Mapping[str, Any]


@dataclass
class Cluster:
    """The processes of a network.

    Parameters
    ----------
    common : Mapping[str, Any]
        The keys of `Settings` that all devices share; ``checkpoint`` and ``model`` are folders
        in which each device has its own.
    topology : str
        Who is whose neighbor, and when, where the graph changes.
    devices : int
        How many peers.
    seed : int
        Seed of the graph.
    on_event : Callable[[int, Event], None]
        Is told what each device tells.
    watched : bool
        Whether each device has a page of its own on this machine.
    """

    common: Mapping[str, Any]
    topology: str
    devices: int
    seed: int
    on_event: Callable[[int, Event], None]
    watched: bool = False
    runs: dict[int, Run] = field(default_factory=dict)
    received: dict[int, dict[int, int]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    measured: dict[int, list[Round]] = field(default_factory=dict)
    interrupted: bool = False

    def __post_init__(self) -> None:
        graphs = self.graphs = schedule(self.topology, self.devices, self.seed)
        for key in _OWN:
            if key in self.common:
                rule = (
                    "is each device's own: it follows from the number of devices and the topology"
                )
                raise ConfigError(key, self.common[key], rule)
        rounds, steps = (int(self.common.get(key, 1)) for key in ("rounds", "consensus-steps"))
        self.graph: nx.Graph = graphs.ever(rounds, max(steps, 1))
        self._changing = {} if graphs.static else {"topology": self.topology}
        self.steps = diameter(self.graph)
        self._made: dict[int, dict[str, Any]] = {}

    def settings(self) -> dict[int, dict[str, Any]]:
        """Return the keys of each device's settings; ports are free ones of this machine."""
        if not self._made:
            self._made = self._make()
        return self._made

    def _make(self) -> dict[int, dict[str, Any]]:
        ports = free_ports(2 * self.devices)
        made = {}
        for device in range(self.devices):
            neighbors = {str(j): f"127.0.0.1:{ports[j]}" for j in sorted(self.graph[device])}
            own = {"device": device, "num-devices": self.devices, "neighbors": neighbors}
            own |= {"listen": f"127.0.0.1:{ports[device]}", **self._changing}
            if self.watched:
                own["watch"] = f"127.0.0.1:{ports[self.devices + device]}"
            common = {"sync-steps": self.steps, **self.common}
            if common.get("checkpoint"):
                common["checkpoint"] = str(Path(common["checkpoint"]) / f"device-{device}")
            if common.get("model"):
                common["model"] = str(Path(common["model"]) / f"device-{device}.safetensors")
            made[device] = {**common, **own}
        return made

    def run(self) -> Run:
        """Run all devices to their end, and return what they measured together.

        Raises
        ------
        DeviceError
            No device came to its end.
        """
        app = str(self.common["app"]).partition(":")[0]
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*_PRELOADED, app])  # imported once, not by each device
        processes, pipes = {}, {}
        try:
            for device, settings in self.settings().items():
                pipes[device], theirs = context.Pipe()
                arguments = (json.dumps(settings), theirs, str(Path.cwd()))
                processes[device] = context.Process(target=_device, args=arguments)
                processes[device].start()
                theirs.close()
            self._listen(pipes)
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            for pipe in pipes.values():
                pipe.close()  # which ends the device, if it still runs
            for process in processes.values():
                process.join(_STOP_SECONDS)
                if process.is_alive():
                    process.kill()
                    process.join()
        if self.interrupted:
            self.runs = {**self._unfinished(), **self.runs}
        if not self.runs and not self.interrupted:
            raise DeviceError("; ".join(f"device {d}: {e}" for d, e in sorted(self.failed.items())))
        return merge(self.runs, self.received, self.devices)

    def _unfinished(self) -> dict[int, Run]:
        """Return what devices have measured that did not come to their end."""
        return {
            device: Run("p2pl", "network", self.seed, 1, {}, rounds)
            for device, rounds in self.measured.items()
        }

    def _listen(self, pipes: Mapping[int, Connection]) -> None:
        devices = {id(pipe): device for device, pipe in pipes.items()}
        waiting = list(pipes.values())
        while waiting:
            for pipe in wait(waiting):
                device = devices[id(pipe)]
                try:
                    event = json.loads(pipe.recv_bytes())  # type: ignore[union-attr]
                except (EOFError, OSError):
                    waiting.remove(pipe)  # type: ignore[arg-type]
                    if device not in self.runs and device not in self.failed:
                        self._hear(device, {"error": "ended before its last round"})
                    continue
                self._hear(device, event)

    def _hear(self, device: int, event: Event) -> None:
        if "run" in event:
            [self.runs[device]] = History.from_json(event["run"]).runs
        elif "error" in event:
            self.failed[device] = str(event["error"])
        else:
            [run] = History.from_json(event["measured"]).runs
            self.measured.setdefault(device, []).extend(run.rounds)
            totals = self.received.setdefault(int(event["round"]), {})
            for sender, size in event["received"].items():
                totals[int(sender)] = totals.get(int(sender), 0) + size
        self.on_event(device, event)


def _device(settings: str, pipe: Connection, folder: str) -> None:
    """Be one device: in a process of its own."""
    from ..system.logs import configure_log
    from .process import run_alone
    from .reports import Report
    from .settings import Settings

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()
    os.chdir(folder)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    configure_log(logging.WARNING)

    def tell(**event: Any) -> None:
        with contextlib.suppress(OSError):
            pipe.send_bytes(json.dumps(event).encode())

    def on_round(report: Report) -> None:
        received = {str(j): size for j, size in report.received.items()}
        run = Run("p2pl", "network", 0, 1, {}, [report.measured])
        measured = History({}, {}, [run]).to_json()
        tell(round=report.measured.round, received=received, measured=measured, line=report.line())

    try:
        run = run_alone(Settings.of(json.loads(settings)), on_round)
        tell(run=History({}, {}, [run]).to_json())
    except P2PLError as error:
        tell(error=str(error))


def _end_with(pipe: Connection) -> None:
    """End this process when the one at the other end of the pipe is gone."""
    with contextlib.suppress(EOFError, OSError):
        pipe.recv_bytes()
    os._exit(1)


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens at."""
    with contextlib.ExitStack() as stack:
        listening = [stack.enter_context(socket.socket()) for _ in range(count)]
        for place in listening:
            place.bind(("127.0.0.1", 0))
        return [place.getsockname()[1] for place in listening]
