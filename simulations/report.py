"""A history as a Markdown table, and as a folder with a report and its plots."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from p2pl_flower.history import History, Round, Run, Spread
from p2pl_flower.system.files import filling

from . import plots
from .plots import human_bytes

IMAGES = "scored_images"
"""Where a history's environment has the number of images that models are scored on."""

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
_LEGEND = """\
Accuracy is that of the devices' models on the test set after the last consensus: mean,
worst and best device, standard deviation over devices; and the mean before it, after local
training. Devices that attack are not scored. *Sent in all* counts model bytes over all links,
those of the start included;
*busiest node* is the one that sends most (the server, where there is one); *server* counts
all messages to and from the server. Both are means over rounds; seconds are the median over
the rounds in which no model was evaluated.
"""


def table(history: History) -> str:
    """Return the results as a Markdown table that also reads well on a terminal.

    There is one row for each run; a value that was not measured is a dash. Accuracy and
    its standard deviation are in percent, sizes in decimal units. Where devices are private there
    is a column for what was spent of it.
    """
    return aligned(header_and_rows(history))


def header_and_rows(history: History) -> list[Sequence[str]]:
    """Return the cells of that table, its header first."""
    names = plots.labels(history)
    rows = [(name, *_cells(run)) for name, run in zip(names, history.runs, strict=True)]
    spent = [run.rounds[-1].epsilon if run.rounds else None for run in history.runs]
    if all(epsilon is None for epsilon in spent):
        return [_HEADER, *rows]
    column = ["-" if epsilon is None else f"{epsilon:.2f}" for epsilon in spent]
    both = zip(rows, column, strict=True)
    return [(*_HEADER, "epsilon"), *((*row, cell) for row, cell in both)]


def resolution(history: History) -> str:
    """Return a line on how much of an accuracy is one image; empty if their number is unknown."""
    images = history.environment.get(IMAGES)
    if not images:
        return ""
    return f"Models are scored on {images:,} images: each is {100 / images:.2g} points.\n"


def write(history: History, folder: Path) -> None:
    """Write ``history.json``, ``report.md`` and the plots into ``folder``.

    No file is ever half-written. A folder that exists keeps its other files.
    """
    with filling(folder) as draft:
        images = plots.draw(history, draft)
        (draft / "history.json").write_text(history.to_json(), encoding="utf-8")
        (draft / "report.md").write_text(markdown(history, images), encoding="utf-8")


def markdown(history: History, images: Mapping[str, Path]) -> str:
    """Return the report's text: results, plots (file by title), scenario and environment."""
    embedded = "\n".join(f"![{title}]({file.name})\n" for title, file in images.items())
    return "\n".join(
        [
            "# Results\n",
            table(history),
            resolution(history),
            _LEGEND,
            embedded,
            "## Scenario\n",
            _pairs(history.scenario),
            "## Environment\n",
            _pairs(history.environment),
        ]
    )


def _cells(run: Run) -> Sequence[str]:
    last = next((entry for entry in reversed(run.rounds) if _accuracy(entry)), None)
    final = _accuracy(last) if last else None
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


def _accuracy(entry: Round) -> Spread | None:
    return entry.after_consensus.accuracy if entry.after_consensus else None


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


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first the header, as Markdown that also reads well on a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for first, *rest in (rows[0], rule, *rows[1:]):
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def plain(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first the header, as Markdown whose columns keep to the left."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _pairs(values: Mapping[str, Any]) -> str:
    escaped = [(key, str(value).replace("|", "\\|")) for key, value in values.items()]
    return plain([("key", "value"), *escaped])
