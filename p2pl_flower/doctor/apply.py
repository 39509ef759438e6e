"""Writes the changes into a project, if what is there can be got back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from ..errors import ConfigError
from .findings import Changed

_DIRTY = (
    "has changes that are not committed ({}): commit or stash them first, so that `git diff` "
    "shows what --apply did and `git checkout .` takes it back; --diff only prints it"
)
_SECONDS = 60


def is_in_git(folder: Path) -> bool:
    """Return whether a folder is in a git work tree."""
    return _git(folder, "rev-parse", "--is-inside-work-tree") == "true"


def refuse_dirty(folder: Path, changed: Iterable[Changed]) -> None:
    """Refuse to write where git could not tell the user's own changes from these.

    Raises
    ------
    ConfigError
        Files that git tracks have changes, or one that has to change is not tracked.
    """
    status = _git(folder, "status", "--porcelain", "--untracked-files=all", "--", ".") or ""
    top = Path(_git(folder, "rev-parse", "--show-toplevel") or folder)
    wanted = {(folder.resolve() / c.path) for c in changed}
    dirty = []
    for line in status.splitlines():
        name = line[3:].rpartition(" -> ")[2].strip('"')
        if not line.startswith("??") or (top.resolve() / name) in wanted:
            dirty.append(name)
    if dirty:
        shown = ", ".join(dirty[:3]) + (", ..." if len(dirty) > 3 else "")
        raise ConfigError("app", str(folder), _DIRTY.format(shown))


def write(folder: Path, changed: Iterable[Changed]) -> None:
    """Write the files, in their own encodings and with their own line ends."""
    for each in changed:
        (folder / each.path).write_bytes(each.new.encode(each.encoding))


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says; none where there is no git, or nothing that it keeps."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except OSError:
        return None
    return done.stdout.rstrip("\n") if done.returncode == 0 else None
