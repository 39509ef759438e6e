"""What a device makes of what it is told when it joins."""

from __future__ import annotations

from typing import Any

import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.relay.group.joining import Joined
from p2pl_flower.serverless.newcomers import settings_of

OWN = {"listen": "here:9400", "certificates": "."}


def joined(neighbors: dict[str, str] | None = None, **more: Any) -> Joined:
    said = {"app": "numbers_app:peer_app", "rounds": 3, "num-devices": 2, "joining": {"links": 2}}
    places = {"0": "there:9400"} if neighbors is None else neighbors
    return Joined(7, "pi", {"settings": {**said, **more}, "neighbors": places})


def test_what_all_have_alike_is_taken() -> None:
    made = settings_of(joined(algorithm="dsgd", seed=3), OWN)
    assert made["device"] == 7
    assert made["algorithm"] == "dsgd"
    assert made["seed"] == 3
    assert made["neighbors"] == {"0": "there:9400"}


@pytest.mark.parametrize(
    "more",
    [{"device": 1}, {"history": "x"}, {"checkpoint": "x"}, {"model": "x"}, {"certificates": "x"}],
)
def test_what_is_a_devices_own_is_not(more) -> None:
    assert settings_of(joined(**more), OWN) == settings_of(joined(), OWN)


def test_own_keys_win() -> None:
    assert settings_of(joined(), {**OWN, "app": "my:app"})["app"] == "my:app"


def test_who_can_only_dial_is_linked_to_those_that_can_be_dialed() -> None:
    told = joined({"0": "there:9400", "1": "dial-out", "7": "me:1"})
    own = {**OWN, "listen": "dial-out"}
    assert settings_of(told, own)["neighbors"] == {"0": "there:9400"}
    both = settings_of(told, {**own, "rendezvous": "r:1"})
    assert both["neighbors"] == {"0": "there:9400", "1": "dial-out"}


@pytest.mark.parametrize("group", [{}, {"settings": 1, "neighbors": {}}, {"settings": {}}])
def test_what_makes_no_settings_is_refused(group) -> None:
    with pytest.raises(ConfigError, match="group"):
        settings_of(Joined(7, "pi", group), OWN)
