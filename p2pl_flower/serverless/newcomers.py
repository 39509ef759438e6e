"""What a device that joins is told, and the settings that it makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..relay.group.joining import Joined
from .membership import Membership
from .settings import Settings

_SAME = ("app", "rounds", "run", "num_devices", "sync_steps", "init_function", "evaluate_every")
"""What all devices of a run have alike, beside the algorithm's options."""


def welcome(settings: Settings, membership: Membership) -> dict[str, Any]:
    """Return what somebody is told who was let in: the run's settings, and whom to link to."""
    same = {name.replace("_", "-"): getattr(settings, name) for name in _SAME}
    joining, waiting = settings.joining, settings.waiting
    tables = {
        "joining": {key: getattr(joining, key) for key in ("links", "view", "patience")},
        "waiting": {key: getattr(waiting, key) for key in ("quorum", "deadline", "grace")},
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
        Keys that are its own, which win.

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
    neighbors = {j: address for j, address in places.items() if j != str(joined.device)}
    made = {"device": joined.device, **said, "neighbors": neighbors, **own}
    Settings.of(made)  # raises where something in it cannot be used
    return made
