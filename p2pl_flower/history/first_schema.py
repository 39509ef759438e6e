"""Histories of schema 1, by the names that things have since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RENAMED = {
    "device": "torch-device",
    "devices": "num-devices",
    "eval-every": "evaluate-every",
    "eval-precision": "evaluate-precision",
    "eval-trained": "evaluate-trained",
    "on-loss": "on-missing",
}
"""Keys of schema 1 by the names that they have since."""

_AFFINITY = "p2pl_affinity", "affinity"
"""A contender and a key of schema 1 that are an algorithm and its strength since."""


def of_schema_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a history of schema 1 in the terms of schema 2."""
    strength = content["scenario"].get("affinity", 0.5)
    runs = [_run_of_schema_1(entry, strength) for entry in content["runs"]]
    return {**content, "scenario": _renamed(content["scenario"]), "runs": runs}


def _run_of_schema_1(entry: Mapping[str, Any], strength: float) -> dict[str, Any]:
    settings, contender = entry.get("settings", {}), entry["contender"]
    if contender == _AFFINITY[0]:
        contender = f"p2pl-affinity:strength={settings.get(_AFFINITY[1], strength)}"
    return {**entry, "contender": contender, "settings": _renamed(settings)}


def _renamed(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return keys by their present names; ``device`` is a peer's id, too, where it is a number."""
    return {
        key if key == "device" and not isinstance(value, str) else _RENAMED.get(key, key): value
        for key, value in keys.items()
        if key != _AFFINITY[1]
    }
