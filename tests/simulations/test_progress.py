"""Bars on a terminal, lines elsewhere; help lists what can be compared."""

from __future__ import annotations

import io

from histories import small

from p2pl_flower.config import keys
from p2pl_flower.history import line
from simulations.help import listing
from simulations.progress import Shown
from simulations.scenario import FOLDER, Scenario
from strategies import contenders


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO) -> str:
    p2pl, local = small().runs
    with Shown(["p2pl", "local"], 3, stream) as shown:
        for run in (p2pl, local):
            shown.begin(run.contender)
            for measured in run.rounds:
                shown.show(run.contender, measured)
    return stream.getvalue()


def test_lines_where_there_is_no_terminal():
    lines = show(io.StringIO()).splitlines()
    assert lines[0] == f"{'p2pl':>14}  {line(small().runs[0].rounds[0])}"
    assert len(lines) == 4


def test_a_bar_for_each_contender_on_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")
    lines = show(Terminal()).splitlines()
    p2pl, local = ([line for line in lines if name in line][-1] for name in ("p2pl", "local"))
    assert "3/3" in p2pl
    assert "accuracy after consensus 0.9123" in p2pl
    assert "1/3" in local


def test_help_lists_scenarios_contenders_and_keys():
    text = listing()
    for name in (*contenders(), *keys(Scenario), *(path.stem for path in FOLDER.glob("*.toml"))):
        assert name in text
    assert "`" not in text
