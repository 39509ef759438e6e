"""Figures in sentences are rendered from committed files, or known to be no measurements."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from code_blocks import PAGES, ROOT

from p2pl_flower.errors import ConfigError
from simulations import figures

SETTINGS = tomllib.loads((ROOT / "docs" / "figures.toml").read_text(encoding="utf-8"))
_UNIT = r"(?:%|(?:s|ms|min|h|k?B|MB|GB|KiB|MiB|GiB|seconds|minutes|hours|points|times)\b)"
_FIGURE = re.compile(rf"(?<![\w.])\d+(?:[.,]\d+)*(?: ?{_UNIT})?(?![\w])")
_LEFT_OUT = [
    re.compile(r"^ *```.*?^ *```$", re.S | re.M),
    re.compile(r"<!-- (?:table|figure): .*?<!-- end -->", re.S),
    re.compile(r"`[^`]*`"),
    re.compile(r"\]\([^)]*\)"),
    re.compile(r"\b\d{4}\.\d{5}\b|\b(?:19|20)\d\d\b"),  # numbers of arXiv, and years
    re.compile(r"(?:Python|Apache-|grpcio) ?\d[\d.]*"),  # versions
]


def stated(text: str) -> set[str]:
    """Return the numbers in a page's sentences that look measured: decimals, or with a unit."""
    for pattern in _LEFT_OUT:
        text = pattern.sub(" ", text)
    found = {match[0] for match in _FIGURE.finditer(text)}
    return {figure for figure in found if not re.fullmatch(r"\d{1,3}(?:,000)*", figure)}


@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in PAGES])
def test_figures_are_rendered_or_known(page: Path) -> None:
    name = str(page.relative_to(ROOT))
    assert stated(page.read_text(encoding="utf-8")) == set(SETTINGS.get(name, []))


def test_a_figure_that_somebody_writes_is_found() -> None:
    assert stated("It takes 0.76 of the time, 12 % less, `0.5` apart.") == {"0.76", "12 %"}
    assert stated("3 devices, 1,000 rounds, <!-- figure: a.json [b] -->0.5<!-- end -->") == set()


TEXT = "so <!-- figure: a.json [seconds] {} -->old<!-- end --> s"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rows = '[["who", "on", "seconds"], ["x", "m", "1.5 (1.4 to 1.6)"], ["x", "f", "2"]]'
    (tmp_path / "a.json").write_text(f'{{"table": {rows}}}', encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("row", "figure"), [("", "1.5"), ("x", "1.5"), ("x #2", "1.4"), ("x; f", "2"), ("f", "2")]
)
def test_a_figure_is_a_number_of_a_cell(root: Path, row: str, figure: str) -> None:
    text = TEXT.format(row)
    assert figures.render(text, root) == text.replace("old", figure)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT.format("y"), "no row of a.json"),
        (TEXT.format("").replace("seconds", "hours"), "no such column"),
        (TEXT.format("f #2"), r"holds 1 number"),
        (TEXT.format("").replace("a.json", "b.json"), "names no file"),
        (TEXT.format("").replace("<!-- end -->", ""), "on one line"),
    ],
)
def test_a_figure_that_is_not_there(root: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        figures.render(text, root)
