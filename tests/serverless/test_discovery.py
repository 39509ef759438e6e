"""Devices find each other on the local network: with the real library, over loopback."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.serverless.discovery import Discovery, Found, find_admitting, on_network
from p2pl_flower.serverless.settings import Settings

pytest.importorskip("zeroconf")

LOOPBACK, SECONDS = "127.0.0.1", 20
GROUP = "aa" * 16


def own(device: int, folder: Path, **more) -> Settings:
    values = {"device": device, "num-devices": 2, "rounds": 1, "app": "numbers_app:peer_app"}
    values |= {"certificates": str(folder), "joining": {"links": 2}, "neighbors": {}}
    values |= {"listen": f"127.0.0.1:{9400 + device}", "start": SECONDS, **more}
    return Settings.of(values)


@pytest.fixture
def other():
    with contextlib.closing(Discovery(GROUP, "p2pl", LOOPBACK)) as made:
        yield made


@pytest.mark.slow
def test_who_announces_itself_is_found_by_its_own_group_alone(other) -> None:
    here = Found(3, "127.0.0.1:9403", admits=True)
    with contextlib.closing(Discovery(GROUP, "p2pl", LOOPBACK)) as one:
        one.announce(here)
        assert other.wait(lambda found: found == {3: here}, SECONDS)
        assert find_admitting(GROUP, LOOPBACK, SECONDS) == here.address
        with contextlib.closing(Discovery("bb" * 16, "p2pl", LOOPBACK)) as strangers:
            strangers.announce(Found(4, "127.0.0.1:9404"))
            assert strangers.wait(lambda found: 4 in found, SECONDS)
            assert set(strangers.found()) == {4}
    assert other.wait(lambda found: not found, SECONDS)  # it has said that it goes


@pytest.mark.slow
def test_a_device_waits_for_one_that_was_there_before_it(tmp_path) -> None:
    make_certificates(tmp_path, range(2))
    with on_network(own(0, tmp_path, start=0.1), LOOPBACK) as first:
        assert first.neighbors == {}
        with on_network(own(1, tmp_path), LOOPBACK) as second:
            assert second.neighbors == {0: "127.0.0.1:9400"}


@pytest.mark.parametrize(
    "said",
    [
        {"device": "x"},
        {"device": "-1"},
        {"device": "9" * 400},
        {"device": "²"},
        {"device": None},
        {"address": "nowhere"},
        {"address": "dial-out"},
        {"group": "cc" * 16},
        {"run": "another"},
    ],
)
def test_what_is_made_up_is_nobody(other, said) -> None:
    entry = {"group": GROUP, "run": "p2pl", "device": "1", "address": "127.0.0.1:1"}
    assert other._read(entry) == Found(1, "127.0.0.1:1")
    assert other._read({**entry, **said}) is None


def test_settings_that_let_nobody_join_are_refused(tmp_path) -> None:
    make_certificates(tmp_path, range(2))
    fixed = own(0, tmp_path, joining={"links": 0}, neighbors={"1": "127.0.0.1:1"})
    with pytest.raises(ConfigError, match=r"discover.*joining\.links"), on_network(fixed, LOOPBACK):
        pass
    hidden = own(0, tmp_path, listen="127.0.0.1:0")
    with pytest.raises(ConfigError, match="address="), on_network(hidden, LOOPBACK):
        pass
