"""Accuracy by round, by bytes and by time, as Bokeh draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    CustomJSTickFormatter,
    HoverTool,
    NumeralTickFormatter,
)
from bokeh.models.annotations import Span
from bokeh.plotting import figure

from ..history import Run
from .series import AXES, places_of, trained

_DASHES = ("solid", "dashdot", "dotted", "dotdash")
_INK, _FAINT = "#1F2933", "#E3E6EA"

POINTED = "#D1006C"
"""The color of the device that is pointed at."""
POINT = "window.p2pl && window.p2pl.point(cb_data.index.indices)"
"""Tells the page's script which device that is."""
_BYTES = """
const units = ["B", "kB", "MB", "GB", "TB"]; let k = 0, x = tick
while (x >= 1000 && k < 4) { x /= 1000; k += 1 }
return +x.toPrecision(3) + " " + units[k]
"""


def dashes(runs: Sequence[Run]) -> list[str]:
    """Return a line style for each run, which tells those of one color apart."""
    seen: dict[str, int] = {}
    found = []
    for run in runs:
        seen[run.contender] = seen.get(run.contender, -1) + 1
        found.append(_DASHES[seen[run.contender] % len(_DASHES)])
    return found


def accuracy(axis: str, runs: Sequence[Run], told: Sequence[Mapping[str, Any]]) -> Any | None:
    """Return accuracy by ``axis``; None where no run has both.

    Lines of run i are named ``run-i``. The sources ``lines`` (all devices of the run that is
    looked at) and ``own`` (the device that is pointed at) are for the page's script to fill.
    """
    shown = [k for k, each in enumerate(told) if each["places"].get(axis)]
    logarithmic = axis == "bytes"
    if not shown:
        return None
    plot = _axes(axis, logarithmic)
    lines = ColumnDataSource({"xs": [], "ys": [], "device": []}, name="lines")
    devices = plot.multi_line(
        "xs", "ys", source=lines, line_color=_INK, line_alpha=0.1, line_width=1, name="devices"
    )
    styles = dashes(runs)
    for k in shown:
        _run(plot, axis, runs[k], told[k], styles[k], f"run-{k}")
    own = ColumnDataSource({"x": [], "y": []}, name="own")
    plot.line("x", "y", source=own, line_color=POINTED, line_width=2.5)
    plot.scatter("x", "y", source=own, color=POINTED, size=5)
    plot.add_layout(Span(dimension="height", line_color="#9AA5B1", line_width=1, name="now"))
    tips = [("device", "@device"), (axis, "$data_x"), ("accuracy", "$data_y{0.0 %}")]
    callback = CustomJS(code=POINT)
    plot.add_tools(
        HoverTool(renderers=[devices], tooltips=tips, line_policy="nearest", callback=callback)
    )
    return plot


def _run(plot: Any, axis: str, run: Run, told: Mapping[str, Any], dash: str, name: str) -> None:
    """Draw a run: the band from worst to best device, the mean, and that before consensus."""
    x = told["places"][axis]
    data = {"x": x, "mean": told["mean"], "low": told["low"], "high": told["high"]}
    data |= {"round": told["rounds"], "label": [told["label"]] * len(x)}
    source = ColumnDataSource({k: _floats(v) if k != "label" else v for k, v in data.items()})
    paint = told["color"]
    plot.varea("x", "low", "high", source=source, color=paint, alpha=0.16, name=name)
    plot.line("x", "mean", source=source, color=paint, width=2.5, line_dash=dash, name=name)
    dots = plot.scatter(
        "x", "mean", source=source, color=paint, size=6 if len(x) < 30 else 3, name=name
    )
    at, before = trained(run)
    where = places_of(run)[axis]
    if at and axis == "round":
        dashed = {"line_dash": "dashed", "alpha": 0.8, "width": 1.2}
        plot.line([where[k] for k in at], before, color=paint, name=name, **dashed)
    tips = [("", "@label"), ("round", "@round"), ("mean", "@mean{0.0 %}")]
    tips.append(("worst to best", "@low{0.0 %} to @high{0.0 %}"))
    plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))


def _axes(axis: str, logarithmic: bool) -> Any:
    plot = figure(
        height=430,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="box_zoom",
        x_axis_type="log" if logarithmic else "linear",
        x_axis_label=AXES[axis],
        y_axis_label="test accuracy",
        name=axis,
        outline_line_color=None,
    )
    plot.js_on_event("doubletap", CustomJS(args={"plot": plot}, code="plot.reset.emit()"))
    plot.yaxis.formatter = NumeralTickFormatter(format="0[.]0 %")
    if logarithmic:
        plot.xaxis.formatter = CustomJSTickFormatter(code=_BYTES)
    for axis_ in (*plot.xaxis, *plot.yaxis):
        axis_.axis_line_color, axis_.minor_tick_line_color = "#9AA5B1", None
        axis_.major_tick_line_color, axis_.axis_label_text_font_style = "#9AA5B1", "normal"
        axis_.axis_label_text_color = axis_.major_label_text_color = "#52606D"
        axis_.axis_label_text_font_size = axis_.major_label_text_font_size = "13px"
    plot.grid.grid_line_color = _FAINT
    return plot


def _floats(values: Sequence[float | None]) -> Any:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float32)
