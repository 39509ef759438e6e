"""Where a daemon listens for its ClientApps: for nobody beyond this machine."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys

import grpc
import pytest

from p2pl_flower import GrpcRelay
from p2pl_flower.cli import main
from p2pl_flower.errors import ConfigError, RelayError
from p2pl_flower.relay.daemon.client import describe, local_channel
from p2pl_flower.relay.daemon.local_address import check_local
from p2pl_flower.relay.daemon.server import LocalServer
from p2pl_flower.relay.grpc import Endpoint

LOCAL = [
    "unix:/run/p2pl.sock",
    "unix:///run/p2pl.sock",
    "unix:relative.sock",
    "127.0.0.1:0",
    "127.8.9.10:9000",
    "[::1]:9000",
    "localhost:65535",
]
FOREIGN = [
    "0.0.0.0:9000",
    "[::]:9000",
    ":9000",
    "192.168.1.20:9000",
    "[fe80::1]:9000",
    "128.0.0.1:9000",
    "127.0.0.1.example.org:9000",
    "example.org:9000",
    "127.0.0.1",  # gRPC would take port 443
    "127.0.0.1:",
    "127.0.0.1:http",
    "127.0.0.1:65536",
    "[127.0.0.1]:9000",
    "::1:9000",
    "127.1:9000",
    "unix:",
    "unix://",
    "unix://host/p2pl.sock",
    "unix-abstract:p2pl",  # which has no mode: whoever is on this machine gets in
    "dns:///127.0.0.1:9000",
    "vsock:1:9000",
    "",
]


@pytest.fixture
def endpoint():
    made = Endpoint(0, "127.0.0.1:0", None)
    yield made
    made.close()


@pytest.fixture
def serve(endpoint):
    """Start daemons, and close them in the end."""
    made: list[LocalServer] = []

    def start(address: str) -> LocalServer:
        made.append(LocalServer(address, endpoint))
        made[-1].start()
        return made[-1]

    yield start
    for server in made:
        server.close()


def answers(address: str) -> bool:
    with local_channel(address) as channel:
        try:
            return describe(channel, address)["device"] == 0
        except RelayError:
            return False


@pytest.mark.parametrize("address", LOCAL)
def test_a_local_address_is_taken(address) -> None:
    check_local("local", address)
    GrpcRelay(address)
    GrpcRelay().at({"p2pl-relay": address})


@pytest.mark.parametrize("address", FOREIGN)
def test_any_other_is_refused_wherever_it_is_given(address, endpoint, capsys) -> None:
    with pytest.raises(ConfigError, match=r"local=.*must be unix:PATH or the loopback"):
        LocalServer(address, endpoint)
    if not address:
        return  # which elsewhere means that none is given
    with pytest.raises(ConfigError, match=r"daemon=.*must be unix:PATH or the loopback"):
        GrpcRelay(address)
    with pytest.raises(ConfigError, match=r"p2pl-relay=.*must be unix:PATH or the loopback"):
        GrpcRelay().at({"p2pl-relay": address})
    command = ["relay", "--device=0", "--listen=127.0.0.1:0", "--insecure", f"--local={address}"]
    assert main(command) == 2
    assert "private arrays included, pass here without encryption" in capsys.readouterr().err


def test_localhost_that_is_another_machine_is_refused(monkeypatch) -> None:
    entries = [(socket.AF_INET, 1, 6, "", (ip, 0)) for ip in ("127.0.0.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: entries[:1])
    check_local("local", "localhost:9000")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: entries)
    with pytest.raises(ConfigError, match="loopback"):
        check_local("local", "localhost:9000")


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0"])
def test_the_port_is_told(address, serve) -> None:
    server = serve(address)
    host, _, port = server.address.rpartition(":")
    assert host == address.removesuffix(":0")
    assert int(port) > 0
    assert answers(server.address)
    with pytest.raises(ConfigError, match="the port is in use"):
        serve(server.address)


@pytest.mark.parametrize("form", ["unix:{}", "unix://{}"])
def test_only_this_user_can_open_the_socket_from_the_beginning(
    form, serve, tmp_path, monkeypatch
) -> None:
    """Nothing changes the mode after the socket is there, and no other file is touched by it."""
    monkeypatch.setattr(os, "chmod", None)
    before = os.umask(0)
    try:
        server = serve(form.format(tmp_path / "s"))
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    assert answers(server.address)


def test_the_socket_of_a_dead_daemon_is_replaced(serve, tmp_path) -> None:
    address = f"unix:{tmp_path}/s"
    command = ["relay", "--device=0", "--listen=127.0.0.1:0", "--insecure", f"--local={address}"]
    code = f"from p2pl_flower.cli import main; main({command!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as dead:
        assert b"neighbors reach it" in dead.stdout.readline()
        assert answers(address)
        dead.send_signal(signal.SIGKILL)
    assert (tmp_path / "s").is_socket()
    serve(address)
    assert answers(address)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600


def test_the_socket_of_a_daemon_that_lives_stays_its_own(serve, tmp_path) -> None:
    address = f"unix:{tmp_path}/s"
    serve(address)
    with pytest.raises(ConfigError, match="is in use: a relay is running there"):
        serve(address)
    assert answers(address)


@pytest.mark.parametrize("name", ["no/such/folder/s", "file", "x" * 200])
def test_a_socket_that_cannot_be_made_is_an_error(name, serve, tmp_path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ConfigError, match="the socket's file cannot be made"):
        serve(f"unix:{tmp_path}/{name}")
    assert (tmp_path / "file").read_text() == "precious"


def test_no_proxy_sees_what_passes(serve, monkeypatch) -> None:
    server = serve("127.0.0.1:0")
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        place = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("grpc_proxy", "https_proxy", "http_proxy"):
            monkeypatch.setenv(name, place)
        for name in ("no_grpc_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert answers(server.address)
        assert GrpcRelay(server.address).address() == server._endpoint.address
        proxy.settimeout(0.2)
        with pytest.raises(TimeoutError):
            proxy.accept()
        with grpc.insecure_channel(server.address) as ordinary:  # so gRPC would have gone there
            call = ordinary.unary_unary("/any/Call").future(b"", wait_for_ready=True)
            proxy.settimeout(10)
            proxy.accept()[0].close()
            call.cancel()
