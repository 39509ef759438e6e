"""What a device that joins is told, and the settings that it makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import key_of, keys
from ..errors import ConfigError
from ..options import Options
from ..relay.group.joining import Joined
from ..relay.tunnel import DIAL_OUT
from .membership import Membership
from .settings import Settings

_SAME = ("app", "rounds", "run", "num_devices", "sync_steps", "init_function", "evaluate_every")
"""What all devices of a run have alike, beside the algorithm's options."""

_TABLES = ("joining", "waiting", "run-config")


def welcome(settings: Settings, membership: Membership) -> dict[str, Any]:
    """Return what somebody is told who was let in: the run's settings, and whom to link to."""
    same = {key_of(name): getattr(settings, name) for name in _SAME}
    joining, waiting = settings.joining, settings.waiting
    tables = {
        "joining": {key: getattr(joining, key) for key in ("links", "view", "patience")},
        "waiting": {key: getattr(waiting, key) for key in ("quorum", "deadline", "grace", "adapt")},
        "run-config": dict(settings.run_config),
        "train-config": dict(settings.train_config),
        "evaluate-config": dict(settings.evaluate_config),
    }
    options = {key: value for key, value in settings.common().items() if key != "joining"}
    places = {str(j): address for j, address in membership.places().items()}
    return {"settings": {**options, **same, **tables}, "neighbors": places}


def settings_of(joined: Joined, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of ``device.toml`` of a device that was let in.

    Parameters
    ----------
    joined : Joined
        What it was told.
    own : Mapping[str, Any]
        Keys that are its own, which win; ``listen`` is among them. Of what it was told only the
        keys count that all devices have alike.

    Raises
    ------
    ConfigError
        What it was told makes no settings.
    """
    said, places = joined.group.get("settings"), joined.group.get("neighbors")
    if not isinstance(said, Mapping) or not isinstance(places, Mapping):
        rule = (
            "must be the run's settings and some devices' addresses; does that peer run the same "
        )
        raise ConfigError("group", dict(joined.group), rule + "version of p2pl-flower?")
    known = {*map(key_of, _SAME), *keys(Options), *_TABLES}
    taken = {key: value for key, value in said.items() if key in known}
    neighbors = {j: address for j, address in places.items() if j != str(joined.device)}
    if own["listen"] == DIAL_OUT and not own.get("rendezvous"):
        neighbors = {j: address for j, address in neighbors.items() if address != DIAL_OUT}
    made = {**taken, **own, "device": joined.device, "neighbors": neighbors}
    Settings.of(made)  # raises where something in it cannot be used
    return made
