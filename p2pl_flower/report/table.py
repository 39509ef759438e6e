"""A history as rows of text: one for each run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from ..history import History, Round, Run
from .words import accuracy_of, human_bytes, labels

_HEADER = (
    "contender",
    "accuracy",
    "worst device",
    "best device",
    "std",
    "after training",
    "rounds",
    "sent in all",
    "busiest node/round",
    "server/round",
    "s/round",
)
LEGEND = """\
Accuracy is that of the devices' models on the test set after the last consensus: mean,
worst and best device, standard deviation over devices; and the mean before it, after local
training. Devices that attack are not scored. *Sent in all* counts model bytes over all links,
those of the start included;
*busiest node* is the one that sends most (the server, where there is one); *server* counts
all messages to and from the server. Both are means over rounds; seconds are the median over
the rounds in which no model was evaluated.
"""


def rows(history: History) -> list[tuple[str, ...]]:
    """Return the cells of the table: a header, and a row for each run.

    A value that was not measured is a dash. Accuracy and its standard deviation are in percent,
    sizes in decimal units. Where devices are private there is a column for what was spent of it.
    """
    named = zip(labels(history), history.runs, strict=True)
    found = [_HEADER, *((name, *_cells(run)) for name, run in named)]
    spent = [run.rounds[-1].epsilon if run.rounds else None for run in history.runs]
    if all(epsilon is None for epsilon in spent):
        return found
    column = ["epsilon", *("-" if each is None else f"{each:.2f}" for each in spent)]
    return [(*row, cell) for row, cell in zip(found, column, strict=True)]


def _cells(run: Run) -> Sequence[str]:
    last = next((entry for entry in reversed(run.rounds) if accuracy_of(entry)), None)
    final = accuracy_of(last) if last else None
    trained = last.after_training.accuracy if last and last.after_training else None
    shares = [final.mean, final.min, final.max, final.std] if final else [None] * 4
    return (
        *(_percent(share) for share in shares),
        _percent(trained.mean if trained else None),
        str(len(run.rounds)),
        human_bytes(_total(run)),
        human_bytes(_mean(entry.bytes_sent_busiest for entry in run.rounds)),
        human_bytes(_mean(entry.bytes_through_server for entry in run.rounds)),
        _seconds([entry.seconds for entry in run.rounds if entry.seconds and not _scored(entry)]),
    )


def _scored(entry: Round) -> bool:
    return entry.after_training is not None or entry.after_consensus is not None


def _total(run: Run) -> int | None:
    """Return the bytes of all rounds and the start, if those of all rounds are known."""
    sent = [entry.bytes_sent for entry in run.rounds if entry.bytes_sent is not None]
    if not sent or len(sent) < len(run.rounds):
        return None
    return sum(sent) + int(run.setup.get("bytes_sent") or 0)


def _mean(values: Iterable[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _seconds(values: Sequence[float]) -> str:
    if not values:
        return "-"
    median = statistics.median(values)
    return f"{median:.0f}" if median >= 100 else f"{median:.2g}"
