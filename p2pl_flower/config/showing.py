"""Options as they are shown: in the docs, in docstrings and on command lines."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import textwrap
from typing import Any, TypeVar

from .declaring import REQUIRED, Option, declared, keys

T = TypeVar("T")


def rows(cls: type) -> list[tuple[str, str, str]]:
    """Return the table of a class's keys under its header: key, default and meaning."""
    header = [("key", "default", "meaning")]
    return header + [(f"`{key}`", _default(o), _meaning(o, "`")) for key, o in keys(cls).items()]


def described(cls: type[T]) -> type[T]:
    """Add a class's own options to its docstring."""
    lines = [inspect.cleandoc(cls.__doc__ or ""), "", "Attributes", "----------"]
    for name, known in declared(cls).items():
        indent = {"initial_indent": "    ", "subsequent_indent": "    "}
        lines += [f"{name} : {known.kind.__name__}"]
        lines += textwrap.wrap(_meaning(known, "``"), 88, **indent)  # type: ignore[arg-type]
    cls.__doc__ = "\n".join(lines) + "\n"
    return cls


def add_argument(parser: argparse.ArgumentParser, known: Option, **changes: Any) -> None:
    """Add an option to a command line: ``--key VALUE``, or ``--key`` alone where it is a truth.

    Parameters
    ----------
    parser : ArgumentParser
        The command's.
    known : Option
        The option, with its name and kind.
    **changes
        What is declared otherwise for this command.
    """
    known = dataclasses.replace(known, **changes)
    text = _meaning(known, "").replace("%", "%%")
    if known.kind is bool:
        parser.add_argument(f"--{known.name}", action="store_true", help=text)
        return
    required = known.default is REQUIRED
    default = None if required else known.default
    shown = "" if default in (None, "") else f" ({default})"
    flag, kind = f"--{known.name}", known.kind
    parser.add_argument(flag, type=kind, default=default, required=required, help=text + shown)


def add_shortcut(parser: argparse.ArgumentParser, flag: str, known: Option) -> None:
    """Add a flag that sets a key, as ``--set KEY=VALUE`` of the same command line does."""

    def change(text: str) -> str:
        return f"{known.name}={text}"

    text = _meaning(known, "").replace("%", "%%")
    parser.add_argument(
        flag,
        action="append",
        dest="set",
        default=[],
        type=change,
        metavar=known.name.upper(),
        help=text,
    )


def _meaning(known: Option, quote: str) -> str:
    choices = ", ".join(f"{quote}{choice}{quote}" for choice in known.rule.choices)
    return ": ".join(filter(None, [known.help, choices]))


def _default(known: Option) -> str:
    if known.default is REQUIRED:
        return "required"
    if known.default in ("", None) or known.kind is dict:
        return ""
    return f"`{str(known.default).lower() if known.kind is bool else known.default}`"
