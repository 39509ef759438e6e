"""The sample projects in tests/projects: copied, changed by their diff, and loaded."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).with_name("projects")
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


class Apps(NamedTuple):
    """A project's two apps, and the run config from its pyproject.toml."""

    client: Any
    server: Any
    config: dict[str, Any]


def copy(name: str, target: Path, peer_to_peer: bool, installs: bool = True) -> Path:
    """Copy a project into ``target`` and, for P2PL, apply its diff as a user would.

    Without ``installs`` its list of dependencies is emptied. ``flwr run`` then takes them from
    the environment that it runs from, and does not make a new one for every run, in which
    all packages are compiled anew.
    """
    folder = target / f"{name}-{'p2pl' if peer_to_peer else 'fedavg'}"
    shutil.copytree(FOLDER / name, folder, ignore=shutil.ignore_patterns("__pycache__", "*.diff"))
    if not installs:
        pyproject = folder / "pyproject.toml"
        text = pyproject.read_text(encoding="utf-8")
        text = re.sub(r"dependencies = \[.*?\]\n\n", "dependencies = []\n\n", text, flags=re.DOTALL)
        pyproject.write_text(text, encoding="utf-8")
    if peer_to_peer:
        command = ["git", "apply", "--unidiff-zero", str(FOLDER / name / "p2p.diff")]
        subprocess.run(command, cwd=folder, check=True, timeout=30)
    return folder


@contextmanager
def loaded(folder: Path) -> Iterator[Apps]:
    """Import a project's apps from its folder, and forget its modules again."""
    app = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["flwr"][
        "app"
    ]
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        client, server = (
            getattr(import_module(module), attribute)
            for module, _, attribute in (
                app["components"][kind].partition(":") for kind in ("clientapp", "serverapp")
            )
        )
        yield Apps(client, server, app["config"])
    finally:
        sys.path.remove(str(folder))
        package = app["components"]["clientapp"].partition(".")[0]
        for module in set(sys.modules) - before:
            if module.partition(".")[0] == package:
                del sys.modules[module]
