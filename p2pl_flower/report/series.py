"""A history's runs as the page's script takes them."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..history import Round, Run
from .network import Network
from .words import accuracy_of, kind

AXES = {
    "round": "round",
    "bytes": "model bytes sent over all links so far",
    "seconds": "seconds so far",
    "clock": "simulated seconds so far",
}
"""What accuracy is shown by: axis, and its words."""

_FULL = 65534
_UNKNOWN = 65535


def places_of(run: Run) -> dict[str, list[float]]:
    """Return where each round ends on each axis; none for an axis that was not measured."""
    rounds = run.rounds
    sent = [entry.bytes_sent for entry in rounds]
    clock = [entry.clock.seconds if entry.clock else None for entry in rounds]
    return {
        "round": [float(entry.round) for entry in rounds],
        "bytes": _sums(sent, run.setup.get("bytes_sent")),
        "seconds": _sums([entry.seconds for entry in rounds], run.setup.get("seconds")),
        "clock": _sums(clock, run.setup.get("clock_seconds")),
    }


def series(run: Run, label: str, color: str) -> dict[str, Any]:
    """Return a run: its scored rounds, their accuracies, and where they end on each axis."""
    scored = [k for k, entry in enumerate(run.rounds) if accuracy_of(entry)]
    places = {axis: [at[k] for k in scored] for axis, at in places_of(run).items() if at}
    entries = [run.rounds[k] for k in scored]
    spreads = [s for entry in entries if (s := accuracy_of(entry))]
    return {
        "label": label,
        "color": color,
        "kind": kind(run),
        "devices": run.devices,
        "rounds": [entry.round for entry in entries],
        "mean": [_number(s.mean) for s in spreads],
        "low": [_number(s.min) for s in spreads],
        "high": [_number(s.max) for s in spreads],
        "places": places,
        "trained": bool(trained(run)[0]),
        "each": _each(entries),
    }


def trained(run: Run) -> tuple[list[int], list[float]]:
    """Return where in the rounds models were scored after training, and their mean accuracies."""
    found = [
        (k, entry.after_training.accuracy.mean)
        for k, entry in enumerate(run.rounds)
        if entry.after_training and entry.after_training.accuracy
    ]
    return [k for k, _ in found], [mean for _, mean in found]


def drawn(network: Network) -> dict[str, Any]:
    """Return a network's links, and bit by bit those that are there, and lost, in each round."""
    lost = network.there & ~network.up
    return {
        "name": network.name,
        "rounds": len(network.there),
        "links": network.links.ravel().tolist(),
        "total": network.total,
        "changes": network.changes,
        "places": np.round(network.places, 4).ravel().tolist(),
        "there": "" if network.there.all() else _bits(network.there),
        "lost": _bits(lost) if lost.any() else "",
    }


def _each(entries: Sequence[Round]) -> str:
    """Return devices' own accuracies by scored round: 16 bits each; empty where none were kept."""
    told = [entry.after_consensus.devices if entry.after_consensus else None for entry in entries]
    width = max((len(each) for each in told if each), default=0)
    if not width:
        return ""
    table = np.full((len(told), width), _UNKNOWN, dtype="<u2")
    for row, each in zip(table, told, strict=True):
        for k, value in enumerate(each or ()):
            if value is not None and math.isfinite(value):
                row[k] = round(min(max(value, 0.0), 1.0) * _FULL)
    return base64.b64encode(table.tobytes()).decode()


def _bits(mask: NDArray[np.bool_]) -> str:
    return base64.b64encode(np.packbits(mask, axis=1, bitorder="little").tobytes()).decode()


def _sums(values: Sequence[float | None], start: float | None) -> list[float]:
    """Return sums so far, ``start`` included; none if a value is not known."""
    known = [float(value) for value in values if value is not None]
    if len(known) < len(values) or not any(known):
        return []
    return [float(total) for total in np.cumsum(known) + float(start or 0)]


def _number(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
