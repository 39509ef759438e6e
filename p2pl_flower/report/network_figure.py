"""The network, as Bokeh draws it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS, DataRange1d, HoverTool
from bokeh.plotting import figure

from .figures import POINT, POINTED

_UNSCORED = "#CBD2D9"


def network(places: Sequence[float], links: int) -> Any:
    """Return the network, whose sources the page's script fills.

    They are ``links``, ``lost``, ``spokes`` (to a server), ``server``, ``devices``, ``touched``
    (links of the device that is pointed at) and ``ring`` (around it).

    Parameters
    ----------
    places : Sequence[float]
        Where devices are: x and y in turn.
    links : int
        How many are drawn: the more, the fainter.
    """
    spots = np.asarray(places, dtype=float).reshape(-1, 2)
    plot = _frame()
    _segments(plot, max(links, 1))
    server = ColumnDataSource({"x": [], "y": []}, name="server")
    plot.scatter("x", "y", source=server, marker="square", size=24, color="#1F2933")
    columns: dict[str, Any] = {"x": spots[:, 0], "y": spots[:, 1], "device": np.arange(len(spots))}
    columns |= {"fill": [_UNSCORED] * len(spots), "said": ["-"] * len(spots)}
    source = ColumnDataSource(columns, name="devices")
    size = float(np.clip(170 / np.sqrt(len(spots)), 7, 26))
    paint = {"fill_color": "fill", "line_color": "white", "line_width": 1}
    dots = plot.scatter("x", "y", source=source, size=size, name="dots", **paint)
    plot.x_range.renderers = plot.y_range.renderers = [dots]
    ring = ColumnDataSource({"x": [], "y": []}, name="ring")
    paint = {"fill_alpha": 0, "line_color": POINTED, "line_width": 3}
    plot.scatter("x", "y", source=ring, size=size + 6, **paint)
    tips = [("device", "@device"), ("accuracy", "@said")]
    plot.add_tools(HoverTool(renderers=[dots], tooltips=tips, callback=CustomJS(code=POINT)))
    return plot


def _frame() -> Any:
    plot = figure(
        name="network",
        height=430,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        match_aspect=True,
        x_range=DataRange1d(range_padding=0.12),
        y_range=DataRange1d(range_padding=0.12),
        outline_line_color=None,
    )
    plot.axis.visible, plot.grid.visible = False, False
    return plot


def _segments(plot: Any, links: int) -> None:
    many = float(np.clip(300 / links, 0.15, 1))
    for name, paint, alpha, dash, wide in (
        ("links", "#52606D", 0.6 * many, "solid", 1.0),
        ("spokes", "#9AA5B1", 0.6, "solid", 1.0),
        ("lost", "#D64545", 0.9 * many, "dashed", 1.2),
        ("touched", "#1F2933", 0.9, "solid", 1.4),
    ):
        ends = ColumnDataSource({"x0": [], "y0": [], "x1": [], "y1": []}, name=name)
        stroke = {"line_color": paint, "line_alpha": alpha, "line_dash": dash, "line_width": wide}
        plot.segment("x0", "y0", "x1", "y1", source=ends, name=name, **stroke)
