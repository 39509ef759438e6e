"""What a history shows, in words that follow from its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..history import History, Round, Run, Spread

PEER_LESS = {"fedavg": "server", "centralized": "one", "local": "alone"}
"""Contenders in which no device talks to another, and what there is instead."""


def kind(run: Run) -> str:
    """Return how a run's models meet: ``peers``, by a ``server``, in ``one`` place, or never."""
    return PEER_LESS.get(run.contender.partition(":")[0], "peers")


def labels(history: History) -> list[str]:
    """Return a name for each run: its contender, and what else tells it from the others."""
    runs = history.runs
    several = {
        "engine": len({run.engine for run in runs}) > 1,
        "seed": len({run.seed for run in runs}) > 1,
        "devices": len({run.devices for run in runs if run.devices > 1}) > 1,
    }
    return [
        ", ".join(
            [run.contender]
            + [run.engine] * several["engine"]
            + [f"{key} {value}" for key, value in run.settings.items()]
            + [f"seed {run.seed}"] * several["seed"]
            + [f"{run.devices} devices"] * several["devices"]
        )
        for run in runs
    ]


def title(history: History) -> str:
    """Return a heading: how many devices learn what."""
    scenario: Any = history.scenario
    devices = max((run.devices for run in history.runs), default=0)
    learned = scenario.get("dataset") or scenario.get("model") or "together"
    verb = "learn" if scenario.get("dataset") else "train"
    return f"{devices:,} devices {verb} {learned}"


def sentences(history: History) -> str:
    """Return two sentences: how good models are beside each other, and what that took to send."""
    runs = list(zip(labels(history), history.runs, strict=True))
    scored = [(label, run, last) for label, run in runs if (last := _last(run))]
    if not scored:
        return "No model was scored: give a test set. " + _traffic(runs[0]) if runs else ""
    first, *others = sorted(scored, key=lambda each: kind(each[1]) != "peers")
    return f"{_accuracy(*first, others)} {_traffic((first[0], first[1]), others)}"


def percent(share: float) -> str:
    """Return a share in percent, as in ``93.4 %``."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def human_bytes(count: float | None) -> str:
    """Return a number of bytes in decimal units, with three digits: ``79.7 MB``."""
    if count is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            break
        count /= 1000
    return f"{count:.3g} {unit}"


def human_seconds(seconds: float | None) -> str:
    """Return a number of seconds in the unit that suits, with three digits: ``79.7 h``."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def accuracy_of(measured: Round) -> Spread | None:
    """Return a round's accuracy after consensus, if it was scored."""
    return measured.after_consensus.accuracy if measured.after_consensus else None


def _last(run: Run) -> Spread | None:
    return next((s for entry in reversed(run.rounds) if (s := accuracy_of(entry))), None)


def _accuracy(label: str, run: Run, last: Spread, others: Sequence[Any]) -> str:
    rounds = max(entry.round for entry in run.rounds if accuracy_of(entry))
    models = f"the models of {run.devices:,} devices ({label})" if run.devices > 1 else label
    range_ = f", from {percent(last.min)} on the worst device to {percent(last.max)} on the best"
    said = f"After round {rounds}, {models} have a mean accuracy of {percent(last.mean)}"
    said += range_ if last.min != last.max else ""
    beside = _joined([f"{name} has {percent(spread.mean)}" for name, _, spread in others[:4]])
    return f"{said}; {beside}." if beside else f"{said}."


def _traffic(first: tuple[str, Run], others: Sequence[Any] = ()) -> str:
    label, run = first
    busiest = _mean([entry.bytes_sent_busiest for entry in run.rounds])
    through = next(
        (
            (name, share)
            for name, other, _ in others
            if kind(other) == "server"
            and (share := _mean([r.bytes_through_server for r in other.rounds]))
        ),
        None,
    )
    if busiest is None:
        return "What was sent was not counted."
    who = "the busiest device" if kind(run) == "peers" else f"the busiest node of {label}"
    said = f"For that, {who} sent {human_bytes(busiest)} of models a round"
    own = _mean([entry.bytes_through_server for entry in run.rounds])
    if kind(run) == "peers" and own is not None:
        said += f", and {human_bytes(own)} went through a server" if own else ", without a server"
    beside = f"; {through[0]}'s server moved {human_bytes(through[1])}" if through else ""
    return f"{said}{beside}."


def _mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
