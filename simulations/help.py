"""What ``compare --help`` lists beside its arguments: scenarios, contenders and keys."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WIDTH = 96


class ListingParser(argparse.ArgumentParser):
    """A parser whose help ends with a list, which is made when help is asked for.

    Parameters
    ----------
    listing : Callable[[], str]
        Makes it.
    """

    def __init__(self, listing: Callable[[], str] = lambda: "", **rest: Any) -> None:
        super().__init__(**rest)
        self._listing = listing

    def format_help(self) -> str:
        """Return the help text."""
        return "\n".join(filter(None, [super().format_help(), self._listing()]))


def listing() -> str:
    """Return all scenarios, contenders and keys, for people to read."""
    from p2pl_flower.algorithms import ALGORITHMS
    from p2pl_flower.config import rows
    from strategies import contenders

    from .scenario import FOLDER, Scenario

    scenarios = [f"  {path.stem:<12} {_first_line(path)}" for path in sorted(FOLDER.glob("*.toml"))]
    by_algorithm = sorted({*ALGORITHMS.names()} - {*contenders()})
    return "\n".join(
        [
            "scenarios:",
            *scenarios,
            "",
            "contenders, several joined by commas:",
            _wrapped(", ".join(sorted(contenders())), "  "),
            _wrapped("or by an algorithm: " + ", ".join(by_algorithm), "  "),
            "",
            "keys, for a scenario's file and for --set KEY=VALUE:",
            *(_key(*row) for row in rows(Scenario)[1:]),
            "",
        ]
    )


def _key(name: str, default: str, meaning: str) -> str:
    plain = [text.replace("`", "") for text in (name, default, meaning)]
    shown = f" (default: {plain[1]})" if plain[1] else ""
    return f"  {plain[0]}\n" + _wrapped(plain[2] + shown, "      ")


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _first_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
