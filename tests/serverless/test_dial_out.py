"""Peers of which some can only dial out."""

from __future__ import annotations

import signal
import subprocess
import sys

import networkx as nx
import pytest
from devices import history, own_model, run_here, settings

from p2pl_flower.errors import ConfigError
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.serverless.settings import Settings

pytestmark = pytest.mark.slow


def dialing(made: dict, *devices: int) -> None:
    """Let devices only dial out."""
    for d in devices:
        made[d]["listen"] = "dial-out"
    for values in made.values():
        values["neighbors"] |= {str(d): "dial-out" for d in devices if d != values["device"]}


def models(made: dict, keep: str) -> list[list[float]]:
    return [own_model(values)[keep].tolist() for values in made.values()]


@pytest.mark.parametrize("serves", ["command", "peer"])
def test_peers_that_only_dial_get_the_models_that_others_get(tmp_path, serves) -> None:
    make_certificates(tmp_path, range(4))
    plain, dialed = (
        settings(nx.complete_graph(3), tmp_path / name, certificates=str(tmp_path))
        for name in ("plain", "dialed")
    )
    run_here(plain)
    dialing(dialed, 1, 2)
    command = [sys.executable, "-m", "p2pl_flower", "rendezvous", "--listen", "127.0.0.1:0"]
    command += ["--certificates", str(tmp_path), "--device", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as rendezvous:
        try:
            place = rendezvous.stdout.readline().split()[2].rstrip(":")
            if serves == "peer":
                dialed[0]["serve-rendezvous"] = True
                place = dialed[0]["listen"]
            for d in (1, 2):
                dialed[d]["rendezvous"] = place
            run_here(dialed)
        finally:
            rendezvous.send_signal(signal.SIGTERM)
            assert rendezvous.wait(30) == 0
    names = own_model(plain[0]).keys()
    assert names
    for name in names:
        assert models(dialed, name) == models(plain, name)
    for d in range(3):
        [run] = history(tmp_path / "dialed", d).runs
        assert run.setup["models"]["arrived"] == run.setup["models"]["asked"] > 0


def test_a_link_of_which_no_end_can_be_dialed_needs_a_rendezvous(tmp_path) -> None:
    made = settings(nx.complete_graph(3), tmp_path)
    dialing(made, 1, 2)
    Settings.of(made[0])
    with pytest.raises(ConfigError, match=r"neighbors.2='dial-out': neither end .* rendezvous"):
        Settings.of(made[1])


def test_who_cannot_be_dialed_is_no_rendezvous(tmp_path) -> None:
    made = settings(nx.path_graph(2), tmp_path, serve_rendezvous=True)
    dialing(made, 1)
    Settings.of(made[0])
    with pytest.raises(ConfigError, match="serve-rendezvous=True: is for devices that can be"):
        Settings.of(made[1])


@pytest.mark.parametrize("given", ["", "dialout", "DIAL-OUT", "host", ":1", "host:0"])
def test_what_is_no_address_is_refused(tmp_path, given) -> None:
    made = settings(nx.path_graph(2), tmp_path)
    made[0]["neighbors"]["1"] = given
    with pytest.raises(ConfigError, match=r"must be host:port.* or dial-out"):
        Settings.of(made[0])
