"""Plots of a history, as PNG files wide enough for a README."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from p2pl_flower.history import History, Round, Run
from p2pl_flower.report.colors import color as color
from p2pl_flower.report.words import human_bytes as human_bytes
from p2pl_flower.report.words import human_seconds as human_seconds
from p2pl_flower.report.words import labels as labels

from .graph_plot import SIZE, graph

DPI = 144

_STYLES = ("-", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def draw(history: History, folder: Path) -> dict[str, Path]:
    """Write every plot that the history has numbers for, and return the files by title."""
    files = {}
    for name, (title, plot) in _PLOTS.items():
        figure = plot(history)
        if figure is not None:
            files[title] = folder / f"{name}.png"
            figure.savefig(files[title], dpi=DPI)
    return files


def accuracy(history: History) -> Any:
    """Return the accuracy by round: the devices' mean in a band from worst to best."""
    figure, axes = _axes("round", "test accuracy")
    dashed, any_trained = {"linewidth": 0.8, "linestyle": "--"}, False
    for run, label, style in _styled(history):
        scored = [(r.round, spread) for r in run.rounds if (spread := _after_consensus(r))]
        if not scored:
            continue
        rounds, spreads = zip(*scored, strict=True)
        low, high = [s.min for s in spreads], [s.max for s in spreads]
        axes.fill_between(rounds, low, high, color=style["color"], alpha=0.13, linewidth=0)
        axes.plot(rounds, [s.mean for s in spreads], **style, label=label)
        trained = [(r.round, s.mean) for r in run.rounds if (s := _after_training(r))]
        if trained:
            axes.plot(*zip(*trained, strict=True), color=style["color"], **dashed)
            any_trained = True
    if not axes.lines:
        return None
    if any_trained:
        axes.plot([], [], color="gray", **dashed, label="after training")
    axes.fill_between([], [], [], color="gray", alpha=0.25, linewidth=0, label="worst to best")
    return _finished(figure, axes, percent=True)


def accuracy_by_bytes(history: History) -> Any:
    """Return the mean accuracy by the model bytes sent so far, start included."""
    figure, axes = _axes("model bytes sent over all links", "test accuracy")
    silent = []
    for run, label, style in _styled(history):
        points = list(_by_bytes(run))
        if points and points[-1][0] > 0:
            axes.plot(*zip(*points, strict=True), **style, label=label)
        elif points:
            silent.append((points[-1][1], label, style))
    if not axes.lines:
        return None
    _logarithmic(axes, "x", human_bytes)
    for level, label, style in silent:
        style = {**style, "linestyle": ":", "marker": ""}
        axes.axhline(level, **style, label=f"{label} (sends none)")
    return _finished(figure, axes, percent=True)


def accuracy_by_time(history: History) -> Any:
    """Return the mean accuracy by simulated seconds, as the clock of each run counts them."""
    figure, axes = _axes("simulated time", "test accuracy")
    for run, label, style in _styled(history):
        points = list(_by_time(run))
        if points:
            axes.plot(*zip(*points, strict=True), **style, label=label)
    if not axes.lines:
        return None
    _logarithmic(axes, "x", human_seconds)
    return _finished(figure, axes, percent=True)


def consensus_distance(history: History) -> Any:
    """Return the devices' root mean square distance from their mean model, by round."""
    figure, axes = _axes("round", "distance from the mean model")
    for run, label, style in _styled(history):
        points = [(r.round, r.consensus_distance) for r in run.rounds if r.consensus_distance]
        if points:
            axes.plot(*zip(*points, strict=True), **style, label=label)
    if not axes.lines:
        return None
    _logarithmic(axes, "y", "{:g}".format)
    return _finished(figure, axes)


_PLOTS: dict[str, tuple[str, Callable[[History], Any]]] = {
    "accuracy": ("Accuracy by round", accuracy),
    "accuracy-by-bytes": ("Accuracy by bytes sent", accuracy_by_bytes),
    "accuracy-by-time": ("Accuracy by simulated time", accuracy_by_time),
    "consensus-distance": ("Consensus distance", consensus_distance),
    "graph": ("The graph", graph),
}


def _axes(x: str, y: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#E3E6EA", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _finished(figure: Any, axes: Any, percent: bool = False) -> Any:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return figure


def _logarithmic(axes: Any, which: str, text: Callable[[float], str]) -> None:
    """Make an axis logarithmic, with ticks at 1, 2 and 5 where the range is short."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{which}scale": "log"})
    low, high = getattr(axes, f"get_{which}lim")()
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axis.set_minor_formatter(NullFormatter())


def _styled(history: History) -> Iterator[tuple[Run, str, dict[str, Any]]]:
    seen: dict[str, int] = {}
    for run, label in zip(history.runs, labels(history), strict=True):
        turn = seen[run.contender] = seen.get(run.contender, -1) + 1
        style = {"color": color(run.contender), "linestyle": _STYLES[turn % len(_STYLES)]}
        marker = {"marker": "o" if len(run.rounds) < 30 else "", "markersize": 3.5}
        yield run, label, {**style, **marker, "linewidth": 1.8}


def _after_consensus(entry: Round) -> Any:
    return entry.after_consensus and entry.after_consensus.accuracy


def _after_training(entry: Round) -> Any:
    return entry.after_training and entry.after_training.accuracy


def _by_bytes(run: Run) -> Iterator[tuple[float, float]]:
    """Yield bytes so far and mean accuracy, as long as every round's bytes are known."""
    sent = run.setup.get("bytes_sent") or 0
    for entry in run.rounds:
        if entry.bytes_sent is None:
            return
        sent += entry.bytes_sent
        if spread := _after_consensus(entry):
            yield sent, spread.mean


def _by_time(run: Run) -> Iterator[tuple[float, float]]:
    """Yield simulated seconds so far and mean accuracy, as long as every round's are known."""
    seconds = run.setup.get("clock_seconds") or 0.0
    for entry in run.rounds:
        if entry.clock is None:
            return
        seconds += entry.clock.seconds
        if spread := _after_consensus(entry):
            yield seconds, spread.mean
