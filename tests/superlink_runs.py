"""A SuperLink with SuperNodes, each with a relay beside it, as processes of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.serverless.cluster import free_ports

BIN = Path(sys.executable).parent


class Processes:
    """Starts commands, and ends them and all that they have started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "FLWR_HOME": str(folder / "home"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.started.append(
                subprocess.Popen(
                    [str(BIN / command[0]), *command[1:]],
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,  # where server apps write what they save
                    env=self.environment,
                    start_new_session=True,
                )
            )

    def end(self) -> None:
        for process in self.started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def logs(self) -> str:
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {f.name}\n{f.read_text()[-2000:]}" for f in files)

    def run(self, app: Path, config: str = "") -> str:
        """Run an app on the SuperLink, and return what it printed and what the others logged."""
        options = ["--run-config", config] if config else []
        done = subprocess.run(
            [str(BIN / "flwr"), "run", str(app), "here", "--stream", *options],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
            check=False,
        )
        return done.stdout + self.logs()


@contextmanager
def federation(folder: Path, nodes: int) -> Iterator[Processes]:
    """Start a SuperLink named ``here``, and so many SuperNodes and relays."""
    processes = Processes(folder)
    try:
        _start(processes, nodes)
        yield processes
    finally:
        processes.end()


def _start(processes: Processes, nodes: int) -> None:
    folder, [link, *ports] = processes.folder, free_ports(1 + 2 * nodes)
    make_certificates(folder / "certificates", range(nodes))
    (folder / "home").mkdir()
    address = f"127.0.0.1:{link}"
    (folder / "home" / "config.toml").write_text(
        f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "{address}"\ninsecure = true\n'
    )
    options = ["--insecure", "--disable-runtime-dependency-installation"]
    processes.start("superlink", "flower-superlink", *options, "--host=127.0.0.1", f"--port={link}")
    for d in range(nodes):
        local = f"unix:{folder}/{d}.sock"
        certificates = f"--certificates={folder}/certificates"
        listen = f"--listen=127.0.0.1:{ports[d]}"
        relay = ["relay", f"--device={d}", listen, f"--local={local}", certificates]
        processes.start(f"relay-{d}", "p2pl-flower", *relay)
        config = f'partition-id={d} num-partitions={nodes} p2pl-relay="{local}"'
        node = ["--insecure", f"--superlink={address}", f"--port={ports[nodes + d]}"]
        processes.start(f"node-{d}", "flower-supernode", *node, f"--node-config={config}")
    _wait_for_port(link, 120)
    for port in ports[:nodes]:
        _wait_for_port(port, 60)


def _wait_for_port(port: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens at port {port}")
