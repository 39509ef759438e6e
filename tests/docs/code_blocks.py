"""The code blocks of README and site, and how each kind of them is checked."""

from __future__ import annotations

import argparse
import ast
import configparser
import contextlib
import importlib.util
import io
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import p2pl_flower
from p2pl_flower import cli
from p2pl_flower.config import change
from p2pl_flower.serverless.settings import Settings
from simulations import __main__ as simulations
from simulations.scenario import Scenario

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/peers.md")),
        *(ROOT / "docs").glob("*.md"),
    ]
)
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<kind>\w*)\n(?P<code>.*?)^ *```$", re.S | re.M)
_SPAN = re.compile(r"(?<!`)`(?P<code>p2pl-flower [a-z][^`]*|python -m [^`]+|make [a-z-]+)`(?!`)")
_OTHERS = ("source", "pip", "flwr", "flower-supernode")
"""Programs of other projects, whose command lines are theirs."""

_VALUES = {"N": "0", "K": "8", "...": ""}
"""What stands for placeholders that must be numbers, or for what is left out."""


class Block(NamedTuple):
    """One block: its page, the line that it begins at, its kind and its text."""

    page: str
    line: int
    kind: str
    code: str

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Yield a page's blocks."""
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        code = textwrap.dedent(match["code"])
        yield Block(str(page.relative_to(ROOT)), line, match["kind"], code)


def commands(code: str) -> Iterator[list[str]]:
    """Yield the command lines of a block as words, without what sets the environment."""
    for line in code.replace("\\\n", " ").splitlines():
        words = [_VALUES.get(word, word) for word in shlex.split(line, comments=True)]
        words = [word for word in words if word]
        while words and re.fullmatch(r"[A-Z_0-9]+=.*", words[0]):
            words.pop(0)
        if words:
            yield words


def spans(page: Path) -> list[str]:
    """Return the command lines that stand within a page's sentences."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(match["code"].split()) for match in _SPAN.finditer(text)]


def parse(words: list[str]) -> None:
    """Have a command line read by its own parser.

    Raises
    ------
    ValueError
        It would be refused.
    """
    program, *rest = words
    if program == "p2pl-flower":
        _by(cli.parser(rest), rest)
    elif words[:2] == ["python", "-m"]:
        _module(rest[1], rest[2:])
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        if not re.search(rf"^{re.escape(rest[0])}:", makefile, re.M):
            raise ValueError(f"make {rest[0]}: no such target")
    elif program not in _OTHERS:
        raise ValueError(f"{program}: a command that nobody checks")


def _by(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            return parser.parse_args(words)
    except SystemExit as end:
        if end.code:
            raise ValueError(f"{' '.join(words)}: {said.getvalue()}") from None
        return argparse.Namespace()


def _module(module: str, words: list[str]) -> None:
    if module == "simulations":
        given = _by(simulations.parser(), words)
        if hasattr(given, "scenario"):
            Scenario.load(given.scenario, change({}, given.set))
    elif importlib.util.find_spec(module) is None:
        raise ValueError(f"python -m {module}: no such module")


def known_options(span: str) -> None:
    """Check that a command within a sentence, which may leave much out, has the options named.

    Raises
    ------
    ValueError
        There is no such command or option.
    """
    words = shlex.split(span)
    if words[0] != "p2pl-flower" or words[1].startswith("-"):
        return parse(words)
    if words[1] not in cli.COMMANDS:
        raise ValueError(f"{span}: no such command")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        cli.parser(words[1:2]).parse_args([words[1], "--help"])
    missing = [w for w in words[2:] if w.startswith("--") and w not in said.getvalue()]
    if missing:
        raise ValueError(f"{span}: no option {missing[0]}")
    return None


def check_toml(code: str) -> None:
    """Check a TOML block; a device file is made into settings, with what it leaves out."""
    content = tomllib.loads(code)
    if "device" in content:
        Settings.of(content)


def check_diff(code: str) -> None:
    """Check that what a diff adds is Python, and names what the package exports."""
    kept = [line[1:] for line in code.splitlines() if line[:1] in ("+", " ")]
    for node in ast.walk(ast.parse("\n".join(kept))):
        if isinstance(node, ast.ImportFrom) and node.module == "p2pl_flower":
            for alias in node.names:
                getattr(p2pl_flower, alias.name)


def check_ini(code: str) -> None:
    """Check a systemd unit: its command is one that would be accepted."""
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment]
    unit.read_string(code)
    path, *words = shlex.split(unit["Service"]["ExecStart"])
    parse([Path(path).name, *words])
