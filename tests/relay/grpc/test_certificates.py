"""Certificates as ``p2pl-flower certs`` makes them, and as a device checks its own."""

from __future__ import annotations

import stat

import pytest

from p2pl_flower.cli import main
from p2pl_flower.commands.certs import parse_devices
from p2pl_flower.errors import ConfigError
from p2pl_flower.relay.grpc import Credentials
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
        (lambda a, b: (a / "device-1.pem").unlink(), "device-1.pem.*cannot be read"),
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
