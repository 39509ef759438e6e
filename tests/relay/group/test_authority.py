"""Who is let into a group."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from p2pl_flower.errors import ConfigError
from p2pl_flower.relay.group.authority import Authority, NotAdmittedError
from p2pl_flower.relay.group.invitation import Invitation
from p2pl_flower.relay.grpc import Credentials
from p2pl_flower.relay.grpc.certificates import make_certificates

PLACE = "192.0.2.7:9400"


def request(key=None) -> bytes:
    key = key or ec.generate_private_key(ec.SECP256R1())
    built = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    make_certificates(tmp_path, [0, 1])
    return Authority(tmp_path)


def test_an_invitation_is_a_line_of_text_that_gives_a_certificate(authority, tmp_path) -> None:
    text = authority.invite(PLACE, 60, "kitchen-pi").text()
    assert text.isprintable()
    assert " " not in text
    invitation = Invitation.read(f"  {text[:50]}\n{text[50:]} ")
    assert (invitation.address, invitation.name) == (PLACE, "kitchen-pi")
    key = ec.generate_private_key(ec.SECP256R1())
    admitted = authority.admit(invitation, request(key), "")
    assert (admitted.device, admitted.name) == (2, "kitchen-pi")  # 0 and 1 were made by hand
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(encoding, form, serialization.NoEncryption())
    certificate = admitted.certificate.encode()
    Credentials(authority.pem.encode(), certificate, secret).check(2)


def test_an_invitation_lets_one_device_in(authority) -> None:
    invitation, first = authority.invite(PLACE, 60), request()
    assert authority.admit(invitation, first, "a").device == 2
    assert authority.admit(invitation, first, "a").device == 2  # the answer was lost, say
    with pytest.raises(NotAdmittedError, match="has been used"):
        authority.admit(invitation, request(), "b")
    assert authority.admit(authority.invite(PLACE, 60), request(), "b").device == 3
    assert authority.device_called("b") == 3
    assert authority.device_called("c") is None


def test_a_name_is_one_devices(authority) -> None:
    authority.admit(authority.invite(PLACE, 60), request(), "a")
    with pytest.raises(NotAdmittedError, match="called a is there already"):
        authority.admit(authority.invite(PLACE, 60), request(), "a")


def test_an_invitation_ends(authority) -> None:
    with pytest.raises(NotAdmittedError, match="has expired"):
        authority.admit(authority.invite(PLACE, -1), request(), "a")


def test_what_an_invitation_says_cannot_be_changed(authority) -> None:
    made = authority.invite(PLACE, 60, "a")
    changes = {"address": "x:1", "name": "b", "expires": made.expires + 1, "nonce": "00"}
    for field, value in changes.items():
        with pytest.raises(NotAdmittedError, match="not signed by the group's authority"):
            authority.admit(replace(made, **{field: value}), request(), "")


def test_an_invitation_to_another_group_is_none_to_this(authority, tmp_path) -> None:
    make_certificates(tmp_path / "other", [0])
    foreign = Authority(tmp_path / "other").invite(PLACE, 60, "a")
    with pytest.raises(NotAdmittedError, match="to another group"):
        authority.admit(foreign, request(), "")


def test_an_invitation_is_for_whom_it_names(authority) -> None:
    with pytest.raises(NotAdmittedError, match="is for a, not for 'b'"):
        authority.admit(authority.invite(PLACE, 60, "a"), request(), "b")


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a-", "a" * 41, "ä", "../a", "a\n"])
def test_what_is_no_name_is_refused(authority, name) -> None:
    with pytest.raises(NotAdmittedError, match="a name is"):
        authority.admit(authority.invite(PLACE, 60), request(), name)
    if name:
        with pytest.raises(ConfigError, match="name="):
            authority.invite(PLACE, 60, name)


def test_requests_that_prove_nothing_are_refused(authority) -> None:
    weak = rsa.generate_private_key(65537, 2048)
    text = request().decode()
    place = text.index("\n") + 200
    other = "A" if text[place] != "A" else "B"
    for bad in (b"", b"nonsense", request(weak), (text[:place] + other + text[place + 1 :])):
        given = bad if isinstance(bad, bytes) else bad.encode()
        with pytest.raises(NotAdmittedError, match="certificate signing request"):
            authority.admit(authority.invite(PLACE, 60), given, "a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p2pl-",
        "p2pl-%%%",
        "nonsense",
        "p2pl-" + "A" * 5000,
        "p2pl-W10",
        "p2pl-e30",
        "p2pl-bnVsbA",
        "p2pl-eyJhIjoxfQ",
    ],
)
def test_texts_that_are_no_invitations_are_refused(text) -> None:
    with pytest.raises(ConfigError, match="invitation"):
        Invitation.read(text)


def test_values_of_other_kinds_are_refused(authority) -> None:
    made = replace(authority.invite(PLACE, 60, "a"), expires="soon")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="is no invitation"):
        Invitation.read(made.text())


def test_devices_that_come_at_the_same_time_get_ids_of_their_own(authority) -> None:
    def admitted(k: int) -> int:
        same = Authority(authority.folder)
        return same.admit(same.invite(PLACE, 60), request(), f"n{k}").device

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(admitted, range(24)))
    assert sorted(ids) == list(range(2, 26))
    assert len(json.loads((authority.folder / "issued.json").read_text())["names"]) == 24


def test_a_folder_without_an_authority_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"authority=.*ca.pem and ca.key"):
        Authority(tmp_path)
    make_certificates(tmp_path, [0])
    make_certificates(tmp_path / "other", [0])
    (tmp_path / "ca.key").write_bytes((tmp_path / "other" / "ca.key").read_bytes())
    with pytest.raises(ConfigError, match="not the key of"):
        Authority(tmp_path)
