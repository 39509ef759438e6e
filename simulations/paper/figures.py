"""A claim's figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..graph_plot import SIZE
from ..plots import DPI, color
from .claims import Claim
from .facts import gap
from .measured import curve
from .summary import Row
from .verdict import judge

_WIDTH, _ROW_HEIGHT = SIZE[0] + 1.5, 0.24  # inches


def draw(claim: Claim, rows: Sequence[Row], folder: Path) -> list[str]:
    """Write the claim's figures into a folder and return their files' names."""
    names = []
    for name in claim.figures:
        figure = FIGURES[name](claim, rows)
        figure.savefig(folder / f"{name}.png", dpi=DPI)
        names.append(f"{name}.png")
    return names


def spread(claim: Claim, rows: Sequence[Row]) -> Figure:
    """Return each variant's accuracy at the end: mean, and worst to best device."""
    figure = Figure(figsize=(_WIDTH, 1.1 + _ROW_HEIGHT * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        if row.diverged:
            continue
        tint = color(row.variant.contender)
        axes.hlines(place, row.worst, row.best, color=tint, alpha=0.45, linewidth=4)
        axes.plot(row.mean, place, "o", color=tint, markersize=5)
    references = [judged.reference for judged in judge(claim, rows) if judged.reference]
    for level in sorted({beside.mean for beside in references if not beside.diverged}):
        axes.axvline(level, color="#333333", linewidth=0.8, linestyle="--", zorder=0)
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    label = "test accuracy: mean (dot), worst to best device (bar), reference (dashed)"
    figure.supxlabel(label, fontsize=9)
    return _clean(figure, axes, "x")


def _name(row: Row) -> str:
    return f"{row.variant}, diverged" if row.diverged else str(row.variant)


def by_round(claim: Claim, rows: Sequence[Row]) -> Figure:
    """Return the accuracy by round, one panel for each case, from the first seed."""
    return _panels(claim, rows, trained=False)


def oscillation(claim: Claim, rows: Sequence[Row]) -> Figure:
    """Return the same with the accuracy after training beside that after consensus."""
    return _panels(claim, rows, trained=True)


def by_gap(claim: Claim, rows: Sequence[Row]) -> Figure:
    """Return the accuracy at the end by the spectral gap of the mixing matrix."""
    figure = Figure(figsize=(SIZE[0], SIZE[1] + 1.5), layout="constrained")
    axes = figure.add_subplot()
    shades = mpl.color_sequences["tab10"]
    names: dict[str, float] = {}
    steps: list[int] = []
    for row in rows:
        scenario = claim.scenario(row.variant, row.runs[0].seed)
        found = gap(scenario)
        if found is None or "topology" not in row.variant.settings:
            continue
        if scenario.options.consensus_steps not in steps:
            steps.append(scenario.options.consensus_steps)
        tint = shades[steps.index(scenario.options.consensus_steps)]
        axes.vlines(found, row.worst, row.best, color=tint, alpha=0.45, linewidth=3)
        axes.plot(found, row.mean, "o", color=tint, markersize=5)
        weights = row.variant.settings.get("weights")
        names[f"{scenario.topology}, {weights}" if weights else scenario.topology] = found
    axes.set_xscale("log")
    axes.set_xlabel("spectral gap of the mixing matrix")
    axes.set_ylabel("test accuracy: mean, worst to best device")
    for place, count in enumerate(steps):
        axes.plot([], [], "o", color=shades[place], label=f"consensus-steps {count}")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    _name_above(axes, names)
    return _clean(figure, axes, "y")


FIGURES: dict[str, Callable[[Claim, Sequence[Row]], Figure]] = {
    "spread": spread,
    "accuracy": by_round,
    "oscillation": oscillation,
    "spectral-gap": by_gap,
}


def _name_above(axes: Any, names: dict[str, float]) -> None:
    """Write a name above each x, side by side where they are close, with a line to it."""
    low, high = (np.log10(limit) for limit in axes.get_xlim())
    right = -_BETWEEN_NAMES
    for name, x in sorted(names.items(), key=lambda entry: entry[1]):
        right = max((np.log10(x) - low) / (high - low), right + _BETWEEN_NAMES)
        axes.annotate(
            name,
            (x, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(right, 1.06),
            textcoords="axes fraction",
            rotation=60,
            fontsize=7,
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.6},
        )


_BETWEEN_NAMES = 0.035  # of the width of the axes


def _panels(claim: Claim, rows: Sequence[Row], trained: bool) -> Figure:
    key = claim.test.cases[0] if claim.test.cases else ""
    panels = list(dict.fromkeys(row.variant.value(key) for row in rows)) if key else [None]
    figure = Figure(figsize=(max(SIZE[0], 4.4 * len(panels)), SIZE[1]), layout="constrained")
    shades = mpl.color_sequences["tab10"]
    labels = list(dict.fromkeys(_label(row, key) for row in rows))
    for number, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), number)
        for row in (r for r in rows if not key or r.variant.value(key) == panel):
            tint = shades[labels.index(_label(row, key)) % len(shades)]
            _curves(axes, row, tint, trained)
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _leave_out_diverged(axes, [r for r in rows if not key or r.variant.value(key) == panel])
        axes.set_title("" if panel is None else str(panel), fontsize=10)
        _clean(figure, axes, "y")
    figure.axes[0].set_ylabel("test accuracy, band: worst to best device")
    for label in labels:
        tint = shades[labels.index(label) % len(shades)]
        figure.axes[0].plot([], [], color=tint, label=label)
    if trained:
        figure.axes[0].plot([], [], color="gray", linestyle=":", label="after training")
    columns = min(4, len(labels) + trained)
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
    return figure


def _curves(axes: Any, row: Row, tint: Any, trained: bool) -> None:
    run = row.runs[0]
    rounds, after = zip(*curve(run), strict=True)
    axes.plot(rounds, [s.mean for s in after], color=tint, linewidth=1.6)
    low, high = [s.min for s in after], [s.max for s in after]
    axes.fill_between(rounds, low, high, color=tint, alpha=0.12, linewidth=0)
    before = curve(run, trained=True) if trained else []
    if before:
        numbers, means = zip(*((n, s.mean) for n, s in before), strict=True)
        axes.plot(numbers, means, color=tint, linewidth=1.2, linestyle=":")


def _leave_out_diverged(axes: Any, rows: Sequence[Row]) -> None:
    """Let runs that diverged leave the panel, for the others' sake."""
    whole = [row.runs[0] for row in rows if not row.diverged]
    if whole and len(whole) < len(rows):
        spreads = [spread for run in whole for _, spread in curve(run)]
        low, high = min(s.min for s in spreads), max(s.max for s in spreads)
        axes.set_ylim(low - (high - low) / 20, high + (high - low) / 20)


def _label(row: Row, case: str) -> str:
    settings = [f"{k} {v}" for k, v in row.variant.settings.items() if k != case]
    settings += ["diverged"] if row.diverged else []
    return ", ".join([row.variant.contender, *settings])


def _clean(figure: Figure, axes: Any, accuracy: str) -> Figure:
    getattr(axes, f"{accuracy}axis").set_major_formatter(PercentFormatter(1.0))
    axes.grid(color="#E3E6EA", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
