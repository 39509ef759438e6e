"""The page holds all that it shows, and asks nothing of a network."""

from __future__ import annotations

import base64
import html
import json
import re
import sys
import tomllib

import numpy as np
import pytest
from histories_by_hand import accuracy, history, network

from p2pl_flower import report
from p2pl_flower.report.page import text

MEGABYTES = 5


def data_in(page: str) -> dict:
    [found] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(found)


def test_the_file_is_small(tmp_path):
    path = report.write(history(100, 50), tmp_path / "report.html", network(100, 50))
    assert path.stat().st_size < MEGABYTES * 1e6


def test_devices_accuracies_are_in_the_page():
    run = data_in(text(history(8), network(8)))["runs"][0]
    table = np.frombuffer(base64.b64decode(run["each"]), "<u2").reshape(5, 8) / 65534
    expected = [[accuracy(k, t) for k in range(8)] for t in range(1, 6)]
    assert np.allclose(table, expected, atol=2e-5)


def test_where_rounds_end_on_each_axis():
    run = data_in(text(history(8)))["runs"][0]
    assert run["places"]["round"] == [1, 2, 3, 4, 5]
    assert run["places"]["bytes"] == [8100, 16100, 24100, 32100, 40100]
    assert run["places"]["seconds"] == [2.5, 3.0, 3.5, 4.0, 4.5]


def test_the_configuration_can_be_read_again():
    page = text(history(8))
    [shown] = re.findall(r'<pre id="configuration">(.*?)</pre>', page, re.S)
    assert tomllib.loads(html.unescape(shown)) == dict(history(8).scenario)


def test_nothing_is_fetched():
    page = text(history(8), network(8))
    assert not re.findall(r"<(?:script|img|iframe|link)[^>]*(?:src|href)=\"(?!data:)", page)


def test_what_a_history_holds_cannot_end_the_script():
    shown = history(8)
    shown.runs[0].contender = "</script><b>"
    page = text(shown)
    assert "</script><b>" not in page
    assert data_in(page)["runs"][0]["label"] == "</script><b>"


def test_without_bokeh_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh.resources", None)
    with pytest.raises(ImportError, match=r"pip install 'p2pl-flower\[report\]'"):
        text(history(8))
