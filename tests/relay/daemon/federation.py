"""A SuperLink, SuperNodes and relays as processes of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.serverless.cluster import free_ports

BIN = Path(sys.executable).parent
APP = Path(__file__).with_name("superlink_app")


class Federation:
    """A SuperLink with SuperNodes and a relay beside each; all end with `end`.

    Parameters
    ----------
    folder : Path
        Where logs, sockets, certificates and the Flower home are.
    devices : int
        How many SuperNodes.
    """

    def __init__(self, folder: Path, devices: int) -> None:
        self.folder, self.devices = folder, devices
        self.environment = {
            **os.environ,
            "FLWR_HOME": str(folder / "home"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._link, *ports = free_ports(1 + 2 * devices)
        self._relays, self._nodes = ports[:devices], ports[devices:]

    def start(self) -> None:
        """Start all, and wait until they listen."""
        make_certificates(self.folder / "certificates", range(self.devices))
        (self.folder / "home").mkdir()
        address = f"127.0.0.1:{self._link}"
        (self.folder / "home" / "config.toml").write_text(
            f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "{address}"\n'
            "insecure = true\n"
        )
        options = ["--insecure", "--disable-runtime-dependency-installation"]
        place = ["--host=127.0.0.1", f"--port={self._link}"]
        self._start("superlink", "flower-superlink", *options, *place)
        for device in range(self.devices):
            self.start_relay(device)
            self.start_node(device)
        wait_for_port(self._link, 120)
        for port in self._relays:
            wait_for_port(port, 60)

    def start_relay(self, device: int) -> None:
        command = ["relay", f"--device={device}", f"--local=unix:{self.folder}/{device}.sock"]
        command += [f"--listen=127.0.0.1:{self._relays[device]}"]
        command += [f"--certificates={self.folder}/certificates", "--deadline=10"]
        self._start(f"relay-{device}", "p2pl-flower", *command)

    def start_node(self, device: int) -> None:
        config = f"partition-id={device} num-partitions={self.devices} "
        config += f'p2pl-relay="unix:{self.folder}/{device}.sock"'
        node = [f"--superlink=127.0.0.1:{self._link}", f"--port={self._nodes[device]}"]
        command = ["flower-supernode", "--insecure", *node, f"--node-config={config}"]
        self._start(f"node-{device}", *command)

    def wait_for_relay(self, device: int) -> None:
        wait_for_port(self._relays[device], 60)

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a process, and wait for its end; a kill is for all it has started."""
        process = self.running.pop(name)
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        process.wait(60)

    def flwr_run(self, config: str, app: Path = APP) -> subprocess.Popen[str]:
        """Run an app on the SuperLink."""
        command = [str(BIN / "flwr"), "run", str(app), "here", "--stream", "--run-config", config]
        return subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self) -> None:
        for process in self.running.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def logs(self) -> str:
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {f.name}\n{f.read_text()[-3000:]}" for f in files)

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )


def wait_for_port(port: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens at port {port}")
