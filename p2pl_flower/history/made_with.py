"""What a run was made with: revision, versions and hardware."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

_VERSIONS_OF = ("p2pl-flower", "flwr", "torch", "ray", "numpy", "networkx")


def environment() -> dict[str, Any]:
    """Return the git revision, the versions and the hardware of this process."""
    return {
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _VERSIONS_OF},
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": platform.system(),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """Return the revision of the source tree that this file belongs to, if there is one.

    Where the package is installed it belongs to none, even if a repository is around it.
    It ends in ``-dirty`` where code or scenarios were changed since; what runs write
    beside them, results say, does not count.
    """
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        revision = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", ":(top)*.py", ":(top)*.toml")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{revision}-dirty" if changed else revision


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).resolve().parent), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
