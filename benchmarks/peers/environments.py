"""A virtual environment for each system, made by uv and kept in ``.venv-peers``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from .systems import System

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-peers"


class UnavailableError(Exception):
    """A system cannot be had here; the text says why."""


def interpreter(system: System, clone: Path | None) -> str:
    """Return the Python that runs a system, in an environment made for it if need be.

    It has this one's version of PyTorch where the system allows it.

    Raises
    ------
    UnavailableError
        It cannot be installed, or is to be cloned first.
    """
    if system.clone and clone is None:
        where = f"github.com/{system.clone.repository} at {system.clone.commit[:12]}"
        raise UnavailableError(f"not given: clone {where}, then --clone {system.adapter}=PATH")
    if not system.requirements:
        return sys.executable
    place = FOLDER / system.adapter
    python, ready = place / "bin" / "python", place / ".ready"
    wanted = " ".join((system.python, *system.requirements))
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        _uv("venv", "--quiet", "--clear", "--python", system.python, str(place))
        install = ("pip", "install", "--quiet", "--python", str(python), *system.requirements)
        torch = version("torch").partition("+")[0]
        try:
            _uv(*install, f"torch=={torch}")
        except UnavailableError:
            _uv(*install)
        ready.write_text(wanted, encoding="utf-8")
    return str(python)


def versions(python: str, system: System, clone: Path | None) -> dict[str, str]:
    """Return the versions of a system, a commit for a clone, and of PyTorch in its environment.

    Raises
    ------
    UnavailableError
        The clone is no git checkout.
    """
    names = [name for name in (system.package, "torch") if name]
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    done = subprocess.run(
        [python, "-c", code, *names], check=True, stdout=subprocess.PIPE, text=True
    )
    found = dict(zip(names, done.stdout.split(), strict=True))
    if clone is not None:
        commit = ("git", "-C", str(clone), "rev-parse", "HEAD")
        done = subprocess.run(commit, capture_output=True, text=True)
        if done.returncode:
            raise UnavailableError(f"{clone} is no git checkout: {done.stderr.strip()}")
        found[system.name] = done.stdout.strip()
    return found


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    command = str(beside) if beside.exists() else shutil.which("uv")
    if command is None:
        raise UnavailableError("uv is not installed: pip install uv")
    done = subprocess.run([command, *arguments], capture_output=True, text=True, env=_environment())
    if done.returncode:
        raise UnavailableError(" ".join(done.stderr.split()))


def _environment() -> dict[str, str]:
    """Return this environment, without what would point uv to another Python."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
