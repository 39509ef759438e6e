"""Runs an adapter in a process of its own, on one thread a process, and within a limit of time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from .environments import ROOT, UnavailableError
from .systems import System

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
DATA = "P2PL_DATA"


def run(
    system: System, python: str, setting: Path, limit: float, clone: Path | None = None
) -> dict[str, Any]:
    """Return the CPU and wall seconds of a system's rounds, and what accuracy came out.

    Parameters
    ----------
    system : System
        What runs.
    python : str
        Its interpreter.
    setting : Path
        The file of what it trains.
    limit : float
        Seconds that it is given.
    clone : Path or None
        Its checkout, for what is cloned.

    Raises
    ------
    UnavailableError
        It fails, or takes longer; the text has its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder, "out.json"), Path(folder, "log")
        command = [python, "-m", f"benchmarks.peers.adapters.{system.adapter}"]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*command, str(setting), str(out)],
                cwd=folder,  # some write logs where they run
                env=_environment(system, clone),
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            late = _wait(process, limit)
        if late:
            raise UnavailableError(f"did not end within {limit:.0f} s")
        if process.returncode or not out.is_file():
            lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
            last = [line.strip() for line in lines if line.strip()][-1:]
            raise UnavailableError(f"exit code {process.returncode}: {' '.join(last)[:300]}")
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


def _wait(process: subprocess.Popen[bytes], limit: float) -> bool:
    """Wait for a process, end all that is left of its session, and tell whether it was late."""
    try:
        process.wait(limit)
        return False
    except subprocess.TimeoutExpired:
        return True
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(system: System, clone: Path | None) -> dict[str, str]:
    """Return one thread a process, and where modules are, here and in the clone, and data."""
    path, made = [str(ROOT)], {**os.environ, **dict.fromkeys(THREADS, "1")}
    if made.get(DATA):
        made[DATA] = str(Path(made[DATA]).resolve())
    if clone is not None and system.clone is not None:
        path.append(str(clone / system.clone.source))
    return {**made, "PYTHONPATH": os.pathsep.join(path)}
