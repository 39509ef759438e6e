"""``p2pl-flower doctor``: what a Flower project would have to change, without running it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from ..doctor.changes import changes_of
from ..doctor.findings import Findings
from ..doctor.project import Project
from ..doctor.refusals import notes_of, refusals_of
from ..doctor.versions import version_refusals, versions_line

_ADVICE = (
    "where SuperNodes install what an app lists, add 'p2pl-flower' to the dependencies in "
    "pyproject.toml"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder to look at."""
    parser.add_argument(
        "app", nargs="?", type=Path, default=Path(), help="the project's folder (default: here)"
    )


def run(options: argparse.Namespace) -> int:
    """Show what was found; 1 where something would be refused.

    Raises
    ------
    ConfigError
        The folder is no Flower project, or a file of it cannot be read.
    """
    project = Project.read(options.app)
    found = Findings(changes_of(project), refusals_of(project), notes_of(project))
    versions = version_refusals(project.dependencies)
    sections = [
        versions_line(project.dependencies),
        _section("Not supported", [*versions, *found.refused]),
        _section(_heading(found), found.changes) or "Nothing to change: it trains peer to peer.",
        _section("Worth knowing", [*found.notes, *_advice(project)]),
    ]
    sys.stdout.write("\n\n".join(filter(None, sections)) + "\n")
    return 1 if versions or found.refused else 0


def _heading(found: Findings) -> str:
    lines = sum(max(1, len(change.old)) for change in found.changes)
    return f"To change ({lines} lines)"


def _section(title: str, entries: Iterable[object]) -> str:
    listed = [str(entry) for entry in entries]
    return "\n".join([f"{title}:", *listed]) if listed else ""


def _advice(project: Project) -> list[str]:
    listed = any(d.startswith(("p2pl-flower", "p2pl_flower")) for d in project.dependencies)
    return [] if listed else [_ADVICE]
