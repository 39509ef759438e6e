"""The page itself: figures, table and configuration in one file."""

from __future__ import annotations

import html
import json
import re
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import tomli_w

from ..history import History
from .colors import color
from .series import AXES, drawn, series
from .table import LEGEND, rows
from .words import labels, sentences, title

if TYPE_CHECKING:
    from .network import Network

_NEEDED = "a report is drawn by Bokeh: pip install 'p2pl-flower[report]'"


def write(history: History, path: str | Path, network: Network | None = None) -> Path:
    """Write a page that shows a history, and return its path.

    It holds the network with devices colored by accuracy, the accuracy by round, by bytes and by
    time, the table and the configuration. It opens from the file, and asks nothing of a network.

    Parameters
    ----------
    history : History
        What was measured.
    path : str or Path
        The file, such as ``report.html``.
    network : Network, optional
        Who was linked to whom; without it no network is drawn.

    Raises
    ------
    ImportError
        Bokeh is not there: ``pip install 'p2pl-flower[report]'``.
    """
    place = Path(path)
    place.write_text(text(history, network), encoding="utf-8")
    return place


def text(history: History, network: Network | None = None) -> str:
    """Return the page as text."""
    try:
        from bokeh.resources import Resources
    except ImportError as error:
        raise ImportError(_NEEDED) from error
    parts = {name: _asset(f"page.{name}") for name in ("css", "js", "html")}
    scripts = Resources(mode="inline", components=["bokeh"]).render_js()
    environment = ", ".join(f"{k} {v}" for k, v in history.environment.items() if v is not None)
    return Template(parts["html"]).substitute(
        title=html.escape(title(history)),
        summary=html.escape(sentences(history)),
        css=parts["css"],
        js=parts["js"],
        bokeh=scripts,
        data=json.dumps(_data(history, network), separators=(",", ":")).replace("</", "<\\/"),
        table=_table(history),
        legend=re.sub(r"\*([^*]+)\*", r"<em>\1</em>", html.escape(LEGEND)),
        configuration=html.escape(_toml(history)),
        environment=html.escape(environment),
    )


def _data(history: History, network: Network | None) -> dict[str, Any]:
    """Return all that the page's script is given."""
    from bokeh.embed import json_item
    from bokeh.palettes import Viridis256

    from . import figures, network_figure

    runs = history.runs
    told = [
        series(run, label, color(run.contender))
        for run, label in zip(runs, labels(history), strict=True)
    ]
    plots = {axis: figures.accuracy(axis, runs, told) for axis in AXES}
    graph = None if network is None else drawn(network)
    if graph is not None:
        plots["network"] = network_figure.network(graph["places"], len(graph["links"]) // 2)
    return {
        "runs": told,
        "network": graph,
        "palette": Viridis256[::-4],
        "figures": {name: json_item(plot) for name, plot in plots.items() if plot},
    }


def _table(history: History) -> str:
    header, *found = rows(history)
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in found
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _toml(history: History) -> str:
    plain = {
        k: v if isinstance(v, str | int | float) else str(v) for k, v in history.scenario.items()
    }
    return tomli_w.dumps(plain)


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
