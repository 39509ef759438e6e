"""A SuperLink, SuperNodes and relays as processes: models go from relay to relay alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.serverless.cluster import free_ports

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
APP = Path(__file__).with_name("superlink_app")
MODEL_BYTES = 8 * 250_000


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


@pytest.fixture
def processes(tmp_path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.end()


def wait_for_port(port: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens at port {port}")


def test_the_superlink_carries_no_model(processes, tmp_path) -> None:
    link, *ports = free_ports(5)
    make_certificates(tmp_path / "certificates", range(2))
    (tmp_path / "home").mkdir()
    address = f"127.0.0.1:{link}"
    (tmp_path / "home" / "config.toml").write_text(
        f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "{address}"\ninsecure = true\n'
    )
    options = ["--insecure", "--disable-runtime-dependency-installation"]
    processes.start("superlink", "flower-superlink", *options, "--host=127.0.0.1", f"--port={link}")
    for d in range(2):
        local = f"unix:{tmp_path}/{d}.sock"
        certificates = f"--certificates={tmp_path}/certificates"
        listen = f"--listen=127.0.0.1:{ports[d]}"
        relay = ["relay", f"--device={d}", listen, f"--local={local}", certificates]
        processes.start(f"relay-{d}", "p2pl-flower", *relay)
        config = f'partition-id={d} num-partitions=2 p2pl-relay="{local}"'
        node = ["--insecure", f"--superlink={address}", f"--port={ports[2 + d]}"]
        processes.start(f"node-{d}", "flower-supernode", *node, f"--node-config={config}")
    wait_for_port(link, 120)
    for port in ports[:2]:
        wait_for_port(port, 60)
    measured = run(processes, "rounds=1")
    assert measured["array_bytes"] == 0
    assert measured["through_superlink"] < MODEL_BYTES / 100
    assert measured["between_devices"] == [2 * MODEL_BYTES]
    assert measured["arrays"] == 0
    [[low, high]] = measured["loss"]
    # Both start from one model w of mean about 0; each goes half of the way to its id, 0 or 1,
    # and takes half of the other's.
    assert high - low < 1e-9
    assert low == pytest.approx(0.25, abs=0.01)
    measured = run(processes, 'rounds=2 algorithm="exact-diffusion"')
    # psi = (0, .5), w = (.125, .375); psi = (.0625, .6875), phi = psi + w - the psi before it
    # = (.1875, .5625), w = (.28125, .46875)
    assert measured["between_devices"] == [2 * MODEL_BYTES] * 2
    for found, expected in zip(measured["loss"], [(0.125, 0.375), (0.28125, 0.46875)], strict=True):
        assert found == pytest.approx(expected, abs=0.01)


def run(processes: Processes, config: str) -> dict[str, Any]:
    """Run the app on the SuperLink, and return what its ServerApp said."""
    done = subprocess.run(
        [str(BIN / "flwr"), "run", str(APP), "here", "--stream", "--run-config", config],
        env=processes.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    said = [line for line in done.stdout.splitlines() if "SAID " in line]
    assert said, done.stdout + processes.logs()
    measured: dict[str, Any] = json.loads(said[0].partition("SAID ")[2])
    return measured
