"""Which versions are supported and which are tested: read from ``pyproject.toml`` alone."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

_PYTHON = re.compile(r"Programming Language :: Python :: (\d+\.\d+)")
_LEAST = re.compile(r">=\s*([\d.]+)")


def rows(pyproject: Path) -> list[Sequence[str]]:
    """Return a table of Python and flwr: what is supported, and what is tested by which command.

    Supported is ``requires-python`` and the dependency on flwr; tested are the classifiers'
    Pythons, all tests with the first and what is quick with the others, the oldest flwr and the
    newest that installs.

    Raises
    ------
    KeyError, ValueError
        The file says none of that.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    [flwr] = (d.removeprefix("flwr") for d in project["dependencies"] if d.startswith("flwr"))
    [least] = _LEAST.findall(flwr)
    pythons = [found[1] for c in project["classifiers"] if (found := _PYTHON.fullmatch(c))]
    first, *others = pythons
    quick = f"; {', '.join(others)}, what is quick (`make test-pythons`)" if others else ""
    newest = "the newest that installs (`make test`)"
    return [
        ("", "supported", "tested"),
        ("Python", f"`{project['requires-python']}`", f"{first} (`make test`){quick}"),
        ("flwr", f"`{flwr}`", f"{least} (`make test-oldest`), {newest}"),
    ]
