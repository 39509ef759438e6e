"""``p2pl-flower doctor``: what a Flower project has to change, without running it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from ..doctor.apply import is_in_git, refuse_dirty, write
from ..doctor.examine import examine
from ..doctor.findings import Findings
from ..doctor.project import Project
from ..doctor.versions import versions_line

_EXIT = """\
exit code:
  0  the project can train peer to peer with the changes shown, or does already
  1  it cannot be converted; the reasons are listed
  2  it cannot be read, or --apply found changes in git that are not committed
"""
_NOTHING = "Nothing to change: it trains peer to peer."
_NOT_KEPT = "the folder is not in git: nothing keeps what was there before"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder to look at, and what to do with the changes."""
    parser.add_argument(
        "app", nargs="?", type=Path, default=Path(), help="the project's folder (default: here)"
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--diff",
        action="store_true",
        help="print the changes as a patch that `git apply` and `patch -p1` take, and nothing else",
    )
    ways.add_argument(
        "--apply",
        action="store_true",
        help="make the changes; refused where git has changes that are not committed",
    )
    parser.epilog = _EXIT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(options: argparse.Namespace) -> int:
    """Show what was found, print the patch, or make the changes; 1 where it cannot be converted.

    Raises
    ------
    ConfigError
        The folder is no Flower project, a file of it cannot be read, or git has changes in it
        that are not committed.
    """
    project = Project.read(options.app)
    found = examine(project)
    if options.diff:
        return _diff(found)
    if options.apply and found.convertible:
        return _apply(options.app, found)
    _write(_report(project, found))
    return 0 if found.convertible else 1


def _diff(found: Findings) -> int:
    """Print a patch; why there is none, and what is lost, goes to standard error."""
    told = [
        _section("Not supported", found.refused),
        _section("Lost", found.lost),
        "" if found.refused or found.changed else _NOTHING,
    ]
    sys.stderr.write("".join(f"{text}\n" for text in told if text))
    sys.stdout.write("".join(changed.patch for changed in found.changed))
    return 0 if found.convertible else 1


def _apply(folder: Path, found: Findings) -> int:
    in_git = is_in_git(folder)
    if in_git and found.changed:
        refuse_dirty(folder, found.changed)
    write(folder, found.changed)
    done = [f"{c.path} ({c.count} lines)" for c in found.changed]
    sections = [
        _section("Changed", done) or _NOTHING,
        _section("Lost", found.lost),
        _section("Worth knowing", [*found.notes, *([] if in_git or not done else [_NOT_KEPT])]),
    ]
    _write(sections)
    return 0


def _report(project: Project, found: Findings) -> list[str]:
    nothing = "" if found.refused else _NOTHING
    return [
        versions_line(project.dependencies),
        _section("Not supported", found.refused),
        _section(_heading(found), found.changed) or nothing,
        _section("Lost", found.lost),
        _section("Worth knowing", found.notes),
    ]


def _heading(found: Findings) -> str:
    return f"To change ({sum(changed.count for changed in found.changed)} lines)"


def _section(title: str, entries: Iterable[object]) -> str:
    listed = [str(entry) for entry in entries]
    return "\n".join([f"{title}:", *listed]) if listed else ""


def _write(sections: Iterable[str]) -> None:
    sys.stdout.write("\n\n".join(filter(None, sections)) + "\n")
