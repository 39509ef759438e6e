"""The list of certificates that count no longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.relay.group import Revocations
from p2pl_flower.relay.group.revocations import MOST
from p2pl_flower.relay.group.signing import read_authority
from p2pl_flower.relay.grpc.certificates import make_certificates


@pytest.fixture
def authority(tmp_path: Path):
    make_certificates(tmp_path, [0])
    return read_authority(tmp_path)


def test_the_newer_list_wins(authority) -> None:
    certificate, key = authority
    one = Revocations().adding(key, [3])
    two = one.adding(key, [5, 3])
    assert (two.version, two.devices) == (2, {3, 5})
    assert Revocations().newer(two.to_json(), certificate) == two
    assert one.newer(two.to_json(), certificate) == two
    assert two.newer(one.to_json(), certificate) is two


@pytest.mark.parametrize(
    "change",
    [
        {"version": 9},
        {"devices": [1]},
        {"devices": []},
        {"signature": "00"},
        {"signature": None},
        {"signature": "zz"},
        {"version": "2"},
        {"version": True},
        {"devices": {"3": 1}},
        {"devices": ["3"]},
        {"devices": [0] * (MOST + 1)},
    ],
)
def test_what_the_authority_did_not_say_is_not_believed(authority, change) -> None:
    certificate, key = authority
    said = {**Revocations().adding(key, [3]).to_json(), **change}
    assert Revocations().newer(said, certificate) == Revocations()


@pytest.mark.parametrize("said", [None, [], "x", 3, {}])
def test_what_is_no_list_is_not_believed(authority, said) -> None:
    assert Revocations().newer(said, authority[0]) == Revocations()


def test_a_list_of_another_authority_is_not_believed(authority, tmp_path) -> None:
    make_certificates(tmp_path / "other", [0])
    _, foreign = read_authority(tmp_path / "other")
    said = Revocations().adding(foreign, [3]).to_json()
    assert Revocations().newer(said, authority[0]) == Revocations()


def test_it_is_kept_in_a_file(authority, tmp_path) -> None:
    certificate, key = authority
    assert Revocations.load(tmp_path, certificate) == Revocations()
    made = Revocations().adding(key, [3])
    made.save(tmp_path)
    assert Revocations.load(tmp_path, certificate) == made
    (tmp_path / Revocations.FILE).write_text("{}")
    with pytest.raises(ConfigError, match="has signed"):
        Revocations.load(tmp_path, certificate)


def test_a_list_is_short(authority) -> None:
    with pytest.raises(ConfigError, match="4,096 at most"):
        Revocations().adding(authority[1], range(MOST + 1))
