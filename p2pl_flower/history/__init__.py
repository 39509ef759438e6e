"""What a run measured, as JSON: the one format that tables and plots are made from."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, P2PLError
from .first_schema import of_schema_1
from .made_with import environment as environment

SCHEMA = 2
_KNOWN_SCHEMAS = (1, 2)
_MOST_DEVICES = 10_000


@dataclass(frozen=True)
class Spread:
    """One quantity over all devices: mean, extremes and population standard deviation."""

    mean: float
    min: float
    max: float
    std: float

    @classmethod
    def over(cls, values: Iterable[float]) -> Spread | None:
        """Return the spread of ``values``, or None where there are none."""
        array = np.fromiter(values, dtype=np.float64)
        if array.size == 0:
            return None
        with np.errstate(invalid="ignore"):  # the spread of infinities is no number
            return cls(*(float(f(array)) for f in (np.mean, np.min, np.max, np.std)))


@dataclass(frozen=True)
class Scores:
    """Accuracy (a fraction of 1), loss (nats), and other metrics by name, over all devices.

    Attributes
    ----------
    devices : Sequence[float | None] or None
        Each device's own accuracy after consensus, by its number; None for those that were not
        scored. None as a whole after training, where there is one model, and where devices are too
        many: see `each_device`.
    """

    accuracy: Spread | None
    loss: Spread | None
    metrics: Mapping[str, Spread] = field(default_factory=dict)
    devices: Sequence[float | None] | None = None


def each_device(accuracies: Mapping[int, float]) -> list[float | None] | None:
    """Return accuracies by device as a list, to 5 decimals, for `Scores`.

    None where there are fewer than two, or where devices are so many (more than 10,000) that a
    history would be mostly these.
    """
    if len(accuracies) < 2 or max(accuracies) >= _MOST_DEVICES:
        return None
    return [
        round(float(accuracies[k]), 5) if k in accuracies else None
        for k in range(max(accuracies) + 1)
    ]


@dataclass(frozen=True)
class Elapsed:
    """What a round took by the simulated clock, which is no clock of this machine.

    Attributes
    ----------
    seconds : float
        From the end of the round before, that of the last device, to the end of this one: over
        the rounds they add up, beginning with ``clock_seconds`` in the run's setup.
    busy : Spread
        Seconds in which devices computed and sent.
    waiting : Spread
        Seconds in which they waited for others.
    energy : Spread or None
        Joules that devices took to compute, send and receive; None where nothing states it.
    """

    seconds: float
    busy: Spread
    waiting: Spread
    energy: Spread | None = None


@dataclass
class Round:
    """What one round measured; a field that was not measured is None.

    Attributes
    ----------
    round : int
        Number of the round, from 1.
    after_training, after_consensus : Scores or None
        On the devices' models before and after they mixed.
    consensus_distance : float or None
        sqrt(mean_k ||w_k - mean w||^2) after consensus.
    bytes_sent : int or None
        Model bytes that went over links in this round, over all senders.
    bytes_sent_busiest : int or None
        Model bytes of the sender that sent most (the server, where there is one).
    bytes_through_server : int or None
        Bytes of all messages, both ways, between the server and the devices.
    seconds : float or None
        Wall time of the round, its evaluations included.
    epsilon : float or None
        What the device that trained most has spent of its privacy until the end of this round,
        at the delta of the options; None where nothing is private.
    bytes_transmitted : int or None
        Model bytes that radios would have sent: those of messages that were lost are among them.
        None where no link loses any.
    clock : Elapsed or None
        What the round took by the simulated clock; None where the run has none.
    """

    round: int
    after_training: Scores | None = None
    after_consensus: Scores | None = None
    consensus_distance: float | None = None
    bytes_sent: int | None = None
    bytes_sent_busiest: int | None = None
    bytes_through_server: int | None = None
    seconds: float | None = None
    epsilon: float | None = None
    bytes_transmitted: int | None = None
    clock: Elapsed | None = None


@dataclass
class Run:
    """One contender's run.

    Attributes
    ----------
    contender, engine : str
        Who ran, and on what.
    seed, devices : int
        The seed of everything, and the number of devices.
    setup : Mapping[str, Any]
        What came before round 1: ``synchronization_steps``, ``bytes_sent``,
        ``bytes_through_server`` and ``seconds``.
    rounds : list[Round]
        In order.
    settings : Mapping[str, Any]
        The scenario's keys that were set otherwise for this run.
    """

    contender: str
    engine: str
    seed: int
    devices: int
    setup: Mapping[str, Any] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def final(self) -> Round:
        """Return the last round in which models were scored after consensus.

        Raises
        ------
        P2PLError
            No round was scored.
        """
        scored = [r for r in self.rounds if r.after_consensus is not None]
        if not scored:
            raise P2PLError(
                f"no round of this run ({self.contender}, {len(self.rounds)} rounds) was scored; "
                "give a test set, and evaluate every 1 round or more"
            )
        return scored[-1]


@dataclass
class History:
    """Runs of several contenders in one scenario."""

    scenario: Mapping[str, Any]
    environment: Mapping[str, Any]
    runs: list[Run] = field(default_factory=list)

    def to_json(self) -> str:
        """Return the history as JSON text; what is not a finite number is null in it."""
        content = _finite({"schema": SCHEMA, **dataclasses.asdict(self)})
        for entry in (r[key] for run in content["runs"] for r in run["rounds"] for key in _SCORED):
            for key in _RATHER:
                if entry is not None and not entry[key]:
                    del entry[key]
        for entry in (r for run in content["runs"] for r in run["rounds"]):
            for key in _LEFT_OUT:
                if entry[key] is None:
                    del entry[key]
        text = json.dumps(content, indent=1, allow_nan=False)
        return _NUMBERS.sub(lambda found: " ".join(found[0].split()), text) + "\n"

    @classmethod
    def from_json(cls, text: str) -> History:
        """Read back what `to_json` wrote.

        Raises
        ------
        ConfigError
            The text has a schema number that is not known.
        """
        content = json.loads(text)
        schema = content.get("schema")
        if schema not in _KNOWN_SCHEMAS:
            known = ", ".join(map(str, _KNOWN_SCHEMAS))
            raise ConfigError("schema", schema, f"must be one of {known}")
        if schema == 1:
            content = of_schema_1(content)
        runs = [_run(entry) for entry in content["runs"]]
        return cls(content["scenario"], content["environment"], runs)

    @classmethod
    def load(cls, path: Path) -> History:
        """Read a history from a file."""
        return cls.from_json(path.read_text(encoding="utf-8"))


def accuracies(measured: Round) -> str:
    """Return a round's accuracies, worst and best device in brackets; empty if there are none."""
    parts = [
        f"accuracy {label} {_with_extremes(scored.accuracy)}"
        for label, scored in (
            ("after training", measured.after_training),
            ("after consensus", measured.after_consensus),
        )
        if scored is not None and scored.accuracy is not None
    ]
    return "; ".join(parts)


def line(measured: Round, *more: str) -> str:
    """Return one line about a round: its number, what it took, more if given, its accuracies."""
    parts = [f"round {measured.round:3d}", f"{measured.seconds or 0.0:6.1f} s", *more]
    return "  ".join([*parts, *filter(None, [accuracies(measured)])])


def _with_extremes(spread: Spread) -> str:
    extremes = f" [{spread.min:.4f}, {spread.max:.4f}]" if spread.min != spread.max else ""
    return f"{spread.mean:.4f}{extremes}"


def _run(entry: Mapping[str, Any]) -> Run:
    return Run(**{**entry, "rounds": [_round(measured) for measured in entry["rounds"]]})


def _round(entry: Mapping[str, Any]) -> Round:
    scored = {key: _scores(entry[key]) for key in _SCORED}
    return Round(**{**entry, **scored, "clock": _elapsed(entry.get("clock"))})


def _elapsed(entry: Mapping[str, Any] | None) -> Elapsed | None:
    if entry is None:
        return None
    spreads = {key: _spread(entry[key]) for key in ("busy", "waiting")}
    energy = entry.get("energy")
    return Elapsed(entry["seconds"], **spreads, energy=energy and _spread(energy))


_SCORED = ("after_training", "after_consensus")
_RATHER = ("metrics", "devices")
"""What of `Scores` is no spread."""
_NUMBERS = re.compile(r"\[(?:\s+(?:null|[\d.eE+-]+),?)+\s+\]")
"""A list of numbers, one on each line, as `json` indents it."""
_LEFT_OUT = ("epsilon", "bytes_transmitted", "clock")
"""What rounds have in JSON only where it is known."""


def _scores(entry: Mapping[str, Any] | None) -> Scores | None:
    if entry is None:
        return None
    means = {k: v if v is None else _spread(v) for k, v in entry.items() if k not in _RATHER}
    others = {name: _spread(v) for name, v in entry.get("metrics", {}).items()}
    return Scores(**means, metrics=others, devices=entry.get("devices"))


def _spread(entry: Mapping[str, float | None]) -> Spread:
    """Return a spread; models that diverged have losses that are no numbers."""
    return Spread(**{k: math.nan if v is None else v for k, v in entry.items()})


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
