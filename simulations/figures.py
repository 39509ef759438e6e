"""Figures in sentences: each is from a cell of a committed file's table, as the page's tables are.

``<!-- figure: benchmarks/round_seconds.json [P2PL / FedAvg] -->0.88<!-- end -->`` is the first
number in the first row's cell of that column. ``file.json [accuracy] fedavg; mnist`` is in the
first row that has these cells, ``file.json [accuracy] fedavg #2`` the second number of its cell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import History
from p2pl_flower.report.table import rows as header_and_rows

_OPENING = (
    r"<!-- figure: (?P<path>\S+) \[(?P<column>[^\]]+)\](?P<row>[^>#]*)(?:#(?P<place>\d))? ?-->"
)
_FIGURE = re.compile(rf"(?P<opening>{_OPENING})[^<\n]*<!-- end -->")
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")


def render(text: str, root: Path) -> str:
    """Return ``text`` with every figure made anew.

    Raises
    ------
    ConfigError
        There is no such file, row, column or number, or a marker has no end.
    """
    if text.count("<!-- figure: ") != len(_FIGURE.findall(text)):
        rule = (
            "must be `<!-- figure: file.json [column] cell; cell -->...<!-- end -->`, on one line"
        )
        raise ConfigError("figure", "<!-- figure: ... -->", rule)
    return _FIGURE.sub(lambda m: f"{m['opening']}{_figure(m, root)}<!-- end -->", text)


def _figure(match: re.Match[str], root: Path) -> str:
    rows = _rows(root / match["path"], match["path"])
    wanted = {cell.strip() for cell in match["row"].split(";")} - {""}
    found = [row for row in rows[1:] if wanted <= set(row)]
    if match["column"] not in rows[0]:
        raise ConfigError("figure", match["column"], f"no such column in {match['path']}", rows[0])
    if not found:
        raise ConfigError("figure", match["row"].strip(), f"no row of {match['path']} has it all")
    numbers = _NUMBER.findall(found[0][list(rows[0]).index(match["column"])])
    place = int(match["place"] or 1)
    if len(numbers) < place:
        raise ConfigError("figure", match[0], f"the cell holds {len(numbers)} number(s)")
    return str(numbers[place - 1])


def _rows(path: Path, name: str) -> Sequence[Sequence[str]]:
    if not path.is_file():
        raise ConfigError("figure", name, "names no file below the repository's root")
    text = path.read_text(encoding="utf-8")
    table: Sequence[Sequence[str]] | None = json.loads(text).get("table")
    return header_and_rows(History.from_json(text)) if table is None else table
