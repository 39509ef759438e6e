"""A history as a Markdown table, and as a folder with a report and its plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from p2pl_flower.history import History
from p2pl_flower.report.table import LEGEND, rows
from p2pl_flower.system.files import filling

from . import pages, plots

IMAGES = "scored_images"
"""Where a history's environment has the number of images that models are scored on."""


def table(history: History) -> str:
    """Return the results as a Markdown table that also reads well on a terminal.

    There is one row for each run; a value that was not measured is a dash. Accuracy and
    its standard deviation are in percent, sizes in decimal units. Where devices are private there
    is a column for what was spent of it.
    """
    return aligned(rows(history))


def resolution(history: History) -> str:
    """Return a line on how much of an accuracy is one image; empty if their number is unknown."""
    images = history.environment.get(IMAGES)
    if not images:
        return ""
    return f"Models are scored on {images:,} images: each is {100 / images:.2g} points.\n"


def write(history: History, folder: Path) -> None:
    """Write ``report.html``, ``report.md``, ``history.json`` and plots into ``folder``.

    No file is ever half-written. A folder that exists keeps its other files.
    """
    with filling(folder) as draft:
        images = plots.draw(history, draft)
        (draft / "history.json").write_text(history.to_json(), encoding="utf-8")
        pages.write(history, draft / "report.html")
        (draft / "report.md").write_text(markdown(history, images), encoding="utf-8")


def markdown(history: History, images: Mapping[str, Path]) -> str:
    """Return the report's text: results, plots (file by title), scenario and environment."""
    embedded = "\n".join(f"![{title}]({file.name})\n" for title, file in images.items())
    return "\n".join(
        [
            "# Results\n",
            table(history),
            resolution(history),
            LEGEND,
            embedded,
            "## Scenario\n",
            _pairs(history.scenario),
            "## Environment\n",
            _pairs(history.environment),
        ]
    )


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
