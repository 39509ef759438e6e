"""Certificates as ``p2pl-flower certs`` makes them, and as a device checks its own."""

from __future__ import annotations

import datetime
import stat

import pytest
from endpoints import RUN, SLOT, connect, model

from p2pl_flower.cli import main
from p2pl_flower.commands.certs import parse_devices
from p2pl_flower.errors import ConfigError
from p2pl_flower.relay.grpc import Credentials, EndpointMailbox, credentials
from p2pl_flower.relay.grpc.certificates import make_certificates


def test_each_device_can_load_its_own(tmp_path) -> None:
    make_certificates(tmp_path, [0, 1])
    assert Credentials.load(tmp_path, 1).certificate == (tmp_path / "device-1.pem").read_bytes()
    for name in ("ca.key", "device-0.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_more_devices_can_be_added_later(tmp_path) -> None:
    make_certificates(tmp_path, [0])
    before = (tmp_path / "device-0.pem").read_bytes()
    written = make_certificates(tmp_path, [0, 5])
    assert {path.name for path in written} == {"device-5.pem", "device-5.key"}
    assert (tmp_path / "device-0.pem").read_bytes() == before
    Credentials.load(tmp_path, 5)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda a, b: (a / "device-1.pem").unlink(), "device-1.pem is not: they belong"),
        (lambda a, b: (a / "device-1.key").write_text("no"), "no private key in PEM"),
        (lambda a, b: (a / "ca.pem").write_text("no"), "no certificate in PEM"),
        (lambda a, b: copy(b, a, "device-1.pem"), "is foreign: the CA"),
        (lambda a, b: copy(a, a, "device-0.pem", "device-1.pem"), "not made out to device-1.p2pl"),
        (lambda a, b: copy(a, a, "device-0.key", "device-1.key"), "does not belong"),
    ],
)
def test_what_no_neighbor_would_accept_is_refused_at_the_start(tmp_path, spoil, complaint) -> None:
    ours, others = tmp_path / "ours", tmp_path / "others"
    make_certificates(ours, [0, 1])
    make_certificates(others, [1])
    spoil(ours, others)
    with pytest.raises(ConfigError, match=complaint):
        Credentials.load(ours, 1)


def copy(source, target, name, to=None) -> None:
    (target / (to or name)).write_bytes((source / name).read_bytes())


def test_an_expired_certificate_says_so(tmp_path) -> None:
    make_certificates(tmp_path, [0])
    make_certificates(tmp_path, [1], days=-1 / 1440)
    with pytest.raises(ConfigError, match=r"certificate of device 1.*has expired on 20"):
        Credentials.load(tmp_path, 1)


def test_half_a_ca_is_refused(tmp_path) -> None:
    make_certificates(tmp_path, [0])
    (tmp_path / "ca.key").unlink()
    with pytest.raises(ConfigError, match=r"must hold both ca\.pem and ca\.key"):
        make_certificates(tmp_path, [1])


@pytest.mark.parametrize(
    ("text", "devices"),
    [("3", [0, 1, 2]), ("3,5", [3, 5]), ("8-10", [8, 9, 10]), ("1,4-5", [1, 4, 5])],
)
def test_devices_are_a_number_or_a_list(text, devices) -> None:
    assert parse_devices(text) == devices


@pytest.mark.parametrize("text", ["", "x", "0", "5-3", "-1"])
def test_the_command_refuses_what_names_no_devices(text, tmp_path, capsys) -> None:
    assert main(["certs", f"--devices={text}", "--out", str(tmp_path)]) == 2
    assert f"devices={text!r}: must be" in capsys.readouterr().err


def test_the_command_writes_the_files(tmp_path, capsys) -> None:
    assert main(["certs", "--devices", "2", "--out", str(tmp_path / "c")]) == 0
    assert "6 files written" in capsys.readouterr().out
    Credentials.load(tmp_path / "c", 1)
    assert main(["certs", "--devices", "2", "--out", str(tmp_path / "c"), "--days", "0"]) == 2


@pytest.mark.parametrize("missing", ["pem", "key"])
def test_half_a_pair_is_said_plainly(tmp_path, missing) -> None:
    make_certificates(tmp_path, [0])
    (tmp_path / f"device-0.{missing}").unlink()
    for use in (
        lambda: Credentials.load(tmp_path, 0),
        lambda: make_certificates(tmp_path, [0]),
    ):
        with pytest.raises(ConfigError, match=rf"is there, but device-0\.{missing} is not"):
            use()


def test_a_key_that_others_can_read_is_warned_of(tmp_path, caplog) -> None:
    make_certificates(tmp_path, [0])
    Credentials.load(tmp_path, 0)
    assert not caplog.text
    (tmp_path / "device-0.key").chmod(0o644)
    Credentials.load(tmp_path, 0)
    assert f"{tmp_path}/device-0.key can be read by others" in caplog.text


def test_an_authority_that_has_expired_makes_no_more(tmp_path) -> None:
    make_certificates(tmp_path, [0], days=-1 / 1440)
    with pytest.raises(ConfigError, match=r"certificate of the CA.*has expired on"):
        make_certificates(tmp_path, [1])


def test_a_certificate_that_expires_while_a_connection_is_open(network, tmp_path, monkeypatch):
    make_certificates(tmp_path, [0, 1])
    a, b = (network(d, Credentials.load(tmp_path, d)) for d in (0, 1))
    connect(a, b)
    EndpointMailbox(a, RUN).publish(SLOT, model())
    assert list(EndpointMailbox(b, RUN).collect([0], SLOT)) == [0]
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=400)

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return later

    monkeypatch.setattr(credentials.datetime, "datetime", Clock)
    assert EndpointMailbox(b, RUN).collect([0], SLOT) == {}
    assert b.statistics.counts()[0] == {"arrived": 1, "identity": 1}
    assert a.statistics.counts()[-1] == {"identity": 1}
