"""Render the tables and figures of README and pages: ``python -m simulations.readme``.

A table stands between ``<!-- table: path/to/file.json -->`` and ``<!-- end -->``; the path is
relative to the repository's root. The file is a history, or a benchmark's figures: JSON with
the rows of a table, texts all, under ``table``; ``file.json#name`` are those under another name,
with columns of text. ``file.json [claim, verdict]`` are these columns alone, and ``file.json
[system, s/round] turned`` has its rows as columns. ``<!-- table: package.module:Class -->`` is the
keys of a class of options, and ``<!-- table: pyproject.toml -->`` the versions that it names.

A figure in a sentence stands between ``<!-- figure: file.json [column] cell -->`` and
``<!-- end -->``: see `simulations.figures`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from p2pl_flower.config import rows
from p2pl_flower.errors import ConfigError
from p2pl_flower.history import History

from . import figures, versions
from .report import aligned, plain, table

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("docs", "benchmarks")
"""Where pages with tables are, beside the README."""

_OPENING = r"<!-- table: (?P<path>\S+)(?: \[(?P<columns>[^\]]+)\])?(?P<turned> turned)? -->\n"
_BLOCK = re.compile(rf"(?P<opening>{_OPENING})(?P<body>(?:(?!<!-- table:).)*?)<!-- end -->", re.S)


def render(text: str, root: Path) -> str:
    """Return ``text`` with every table made anew.

    Parameters
    ----------
    text : str
        Markdown with markers.
    root : Path
        Folder that the paths in the markers start from.

    Raises
    ------
    ConfigError
        A history that is not there, or a marker without its end.
    """
    if len(re.findall(_OPENING, text)) != len(_BLOCK.findall(text)):
        raise ConfigError("table", "<!-- table: ... -->", "needs an <!-- end --> after it")
    text = _BLOCK.sub(lambda match: _block(match, root), text)
    return figures.render(text, root)


def main(arguments: Sequence[str] | None = None) -> int:
    """Render README, docs and benchmarks in place; ``--check`` tells whether that changes them."""
    parser = argparse.ArgumentParser(prog="python -m simulations.readme", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    pages = [page for room in ROOMS for page in sorted((options.root / room).glob("*.md"))]
    files = [options.root / "README.md", *pages]
    return max(_render_file(file, options.root, options.check) for file in files)


def _render_file(file: Path, root: Path, check: bool) -> int:
    """Render one file and return 1 if it could not be, or is stale and was to be checked."""
    name = file.relative_to(root)
    old = file.read_text(encoding="utf-8")
    try:
        new = render(old, root)
    except ConfigError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1
    if check and new != old:
        sys.stderr.write(f"{name} has stale tables; run python -m simulations.readme\n")
        return 1
    if not check:
        file.write_text(new, encoding="utf-8")
    return 0


def _block(match: re.Match[str], root: Path) -> str:
    module, colon, name = match["path"].partition(":")
    if colon:
        made = plain(rows(getattr(import_module(module), name)))
        return f"{match['opening']}\n{made}\n<!-- end -->"
    file, _, key = match["path"].partition("#")
    path = root / file
    if not path.is_file():
        raise ConfigError("table", match["path"], "names no file below the repository's root")
    if path.suffix == ".toml":
        return f"{match['opening']}\n{plain(versions.rows(path))}\n<!-- end -->"
    return f"{match['opening']}\n{_table(path, key, match)}\n<!-- end -->"


def _table(path: Path, key: str, match: re.Match[str]) -> str:
    text = path.read_text(encoding="utf-8")
    if key:
        return plain(_chosen(json.loads(text)[key], match))
    rows = json.loads(text).get("table")
    return table(History.from_json(text)) if rows is None else aligned(_chosen(rows, match))


def _chosen(rows: Sequence[Sequence[str]], match: re.Match[str]) -> Sequence[Sequence[str]]:
    """Return the columns that a marker names, as rows if it says so."""
    header = list(rows[0])
    names = [name.strip() for name in (match["columns"] or "").split(",")]
    try:
        places = [header.index(name) for name in names] if match["columns"] else range(len(header))
    except ValueError as error:
        raise ConfigError("table", match["path"], f"has no such column: {error}", header) from None
    chosen = [[row[place] for place in places] for row in rows]
    return list(zip(*chosen, strict=True)) if match["turned"] else chosen


if __name__ == "__main__":
    sys.exit(main())
