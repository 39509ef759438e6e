"""Strangers at the port: no certificate, many connections, large requests."""

from __future__ import annotations

import contextlib
import resource
import socket
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest
import tomli_w
from devices import settings, setup_of

from p2pl_flower.relay.grpc.certificates import make_certificates

pytestmark = pytest.mark.slow

CONNECTIONS = 1500
FILES = 1024


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))


@pytest.fixture
def many_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 2 * CONNECTIONS:
        pytest.skip("this process may not open as many connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_files")
def test_idle_connections_end_no_peer(tmp_path) -> None:
    make_certificates(tmp_path / "certificates", range(2))
    options = {"certificates": str(tmp_path / "certificates"), "rounds": 4}
    made = settings(nx.path_graph(2), tmp_path, **options, run_config={"seconds": 0.5})
    running, flood = [], contextlib.ExitStack()
    with flood:
        for d, values in made.items():
            (tmp_path / f"{d}.toml").write_text(tomli_w.dumps(values))
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "p2pl_flower", "peer", str(tmp_path / f"{d}.toml")],
                    cwd=Path(__file__).parent,
                    stdout=subprocess.PIPE,
                    stderr=(tmp_path / f"{d}.log").open("w"),
                    text=True,
                    preexec_fn=few_files,
                )
            )
        try:
            assert "round   1" in running[0].stdout.readline()  # they have met
            port = int(made[0]["listen"].rpartition(":")[2])
            for _ in range(CONNECTIONS):
                flood.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            assert [process.wait(120) for process in running] == [0, 0]
        finally:
            for process in running:
                process.kill()
                process.stdout.close()
    for d in made:
        log = (tmp_path / f"{d}.log").read_text()
        assert "Too many open files" not in log
        assert setup_of(tmp_path, d)["models"] == {"asked": 4, "arrived": 4}, log
