"""The tables of what was measured, and of what could not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = (
    "system",
    "version",
    "PyTorch",
    "who averages",
    "CPU s/round",
    "times the swarm's",
    "s/round",
    "accuracy",
)
REFERENCE = "swarm"


def table(systems: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return a row for each system that ran, with its quickest round of all repetitions.

    Parameters
    ----------
    systems : Sequence
        For each its ``name``, ``averages``, ``versions`` and, of each repetition, ``cpu_seconds``,
        ``wall_seconds`` and ``accuracy`` in ``repeats``; or ``reason``.
    """
    least = {each["name"]: _least(each, "cpu_seconds") for each in systems if each["repeats"]}
    reference = least.get(REFERENCE)
    rows: list[tuple[str, ...]] = [HEAD]
    measured = [each for each in systems if each["repeats"]]
    for each in sorted(measured, key=lambda each: least[each["name"]]):
        cpu = least[each["name"]]
        times = f"{cpu / reference:.1f}" if reference else ""
        wall, accuracy = _least(each, "wall_seconds"), each["repeats"][-1]["accuracy"]
        figures = (f"{cpu:.2f}", times, f"{wall:.2f}", f"{accuracy:.3f}")
        rows.append((*_named(each), each["averages"], *figures))
    return rows


def missing(systems: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return a row for each system that did not run, with the reason."""
    rows: list[tuple[str, ...]] = [("system", "version", "what was seen")]
    rows += [(e["name"], _named(e)[1], e["reason"]) for e in systems if not e["repeats"]]
    return rows


def _named(each: Mapping[str, Any]) -> tuple[str, str, str]:
    versions = dict(each["versions"])
    torch = versions.pop("torch", "")
    [own] = versions.values() or [""]
    return each["name"], own[:12], torch


def _least(each: Mapping[str, Any], key: str) -> float:
    return float(min(second for repeat in each["repeats"] for second in repeat[key]))
