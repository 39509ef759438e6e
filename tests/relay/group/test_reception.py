"""Getting a certificate for an invitation, over the network."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from p2pl_flower.errors import RelayError
from p2pl_flower.relay.group import joining
from p2pl_flower.relay.group.authority import Authority
from p2pl_flower.relay.group.joining import KEY_FILE, join_group
from p2pl_flower.relay.group.reception import JOIN, Reception
from p2pl_flower.relay.grpc import Credentials
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.relay.tunnel.door import Door


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    make_certificates(tmp_path / "authority", [0])
    return Authority(tmp_path / "authority")


def opened(authority: Authority, folder: Path) -> Door:
    def welcome(admitted, address):
        return {"neighbors": {"0": "here:1"}, "you": admitted.name, "address": address}

    reception = Reception(authority, Credentials.load(folder, 0), welcome)
    door = Door("127.0.0.1:0", None, None, others={JOIN: reception.receive})
    door.start()
    return door


@pytest.fixture
def door(authority):
    made = opened(authority, authority.folder)
    yield made
    made.close()


def invited(authority: Authority, door: Door, name: str = "", seconds: float = 60):
    return authority.invite(f"127.0.0.1:{door.port}", seconds, name)


def test_a_device_gets_all_that_it_needs(authority, door, tmp_path) -> None:
    joined = join_group(invited(authority, door, "kitchen-pi"), tmp_path / "pi", "", "pi:9400")
    assert (joined.device, joined.name) == (1, "kitchen-pi")
    told = {"neighbors": {"0": "here:1"}, "you": "kitchen-pi", "address": "pi:9400"}
    assert joined.group == told
    Credentials.load(tmp_path / "pi", 1)
    files = sorted(path.name for path in (tmp_path / "pi").iterdir())
    assert files == ["ca.pem", "device-1.key", "device-1.pem"]
    assert (tmp_path / "pi" / "device-1.key").stat().st_mode & 0o77 == 0


def test_one_that_lost_the_answer_asks_again(authority, door, tmp_path, monkeypatch) -> None:
    invitation = invited(authority, door, "a")
    written = joining._written

    def lost(*_):
        raise RelayError("lost")

    monkeypatch.setattr(joining, "_written", lost)
    with pytest.raises(RelayError, match="lost"):
        join_group(invitation, tmp_path / "a")
    assert (tmp_path / "a" / KEY_FILE).stat().st_mode & 0o77 == 0
    monkeypatch.setattr(joining, "_written", written)
    assert join_group(invitation, tmp_path / "a").device == 1


def test_who_is_not_let_in_is_told_why(authority, door, tmp_path) -> None:
    invitation = invited(authority, door, "a")
    join_group(invitation, tmp_path / "a")
    with pytest.raises(RelayError, match="has been used"):
        join_group(invitation, tmp_path / "b")
    with pytest.raises(RelayError, match="has expired"):
        join_group(invited(authority, door, "c", -1), tmp_path / "c")


def test_nobody_else_can_pose_as_the_authority(authority, door, tmp_path) -> None:
    make_certificates(tmp_path / "evil", [0])
    evil = opened(Authority(tmp_path / "evil"), tmp_path / "evil")
    mixed = opened(authority, tmp_path / "evil")  # shows our authority, with its own certificate
    try:
        for wrong in (evil, mixed):
            moved = replace(invited(authority, door, "a"), address=f"127.0.0.1:{wrong.port}")
            with pytest.raises(RelayError, match=r"another authority|not one of the group's"):
                join_group(moved, tmp_path / "a")
    finally:
        evil.close()
        mixed.close()


def test_a_place_where_nobody_answers_is_named(authority, door, tmp_path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RelayError, match=f"{place} cannot be joined"):
            join_group(invited(authority, door), tmp_path / "a", "a", place=place)


def test_strangers_end_nothing(authority, door, tmp_path) -> None:
    for junk in (JOIN, JOIN + b"\x16\x03\x01\xff", JOIN + b"{}\n" * 1000):
        with socket.create_connection(("127.0.0.1", door.port), 5) as stranger:
            stranger.sendall(junk)
    assert join_group(invited(authority, door), tmp_path / "a", "a").name == "a"
