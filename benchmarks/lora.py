"""What a LoRA fine-tune sends beside full fine-tuning: ``python -m benchmarks.lora``.

The project ``tests/projects/lora``, a small transformer with random weights, is converted by
``p2pl-flower doctor --apply`` and runs on 8 devices in this process, once with adapters of rank
4 and once with rank 0, which trains the whole model. It needs ``peft`` and ``transformers``.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flwr.app import Context, RecordDict

from p2pl_flower import P2PL
from p2pl_flower.history import Round

from .swarm_common import write

PROJECT = Path(__file__).resolve().parents[1] / "tests" / "projects" / "lora"
DEVICES, ROUNDS = 8, 10
RUNS = {
    "LoRA, rank 4": {"lora-rank": 4, "learning-rate": 0.02},
    "full fine-tuning": {"lora-rank": 0, "learning-rate": 0.003},
}


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    line = argparse.ArgumentParser(description=__doc__)
    line.add_argument("--out", type=Path, help="default: beside the benchmark")
    line.set_defaults(file=Path(__file__), device="cpu")
    parsed = line.parse_args(arguments)
    logging.getLogger("flwr").setLevel(logging.ERROR)
    runs = {name: _run(settings) for name, settings in RUNS.items()}
    table = [("", "sent in a round", "through the server", "accuracy"), *map(_row, runs.items())]
    versions = {name: version(name) for name in ("peft", "transformers")}
    write(parsed, table, devices=DEVICES, rounds=ROUNDS, settings=RUNS, versions=versions)
    return 0


def _row(run: tuple[str, list[Round]]) -> tuple[str, ...]:
    name, rounds = run
    last = rounds[-1]
    scores = last.after_consensus
    accuracy = "" if scores is None or scores.accuracy is None else scores.accuracy.mean
    sent, server = f"{last.bytes_sent:,} bytes", f"{last.bytes_through_server:,} bytes"
    return name, sent, server, f"{accuracy:.3f}"


def _run(settings: dict[str, Any]) -> list[Round]:
    """Convert the project as a user would, run it, and return what P2PL measured."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(PROJECT, Path(place, "lora")))
        command = [sys.executable, "-m", "p2pl_flower", "doctor", "--apply", str(folder)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return _simulate(folder, settings)


def _simulate(folder: Path, settings: dict[str, Any]) -> list[Round]:
    """Run the project as the tests run theirs: all clients in this process."""
    sys.path.insert(0, str(PROJECT.parents[1]))
    projects, grids = import_module("flower_projects"), import_module("local_grid")
    before, started = Path.cwd(), _noted()
    os.chdir(folder)
    try:
        with projects.loaded(folder) as apps:
            config = {**apps.config, **settings, "num-server-rounds": ROUNDS}
            grid = grids.LocalGrid(apps.client, DEVICES, run_config=config)
            apps.server(grid, Context(grids.RUN_ID, 1, {}, RecordDict(), config))
    finally:
        os.chdir(before)
    return started[-1].rounds


def _noted() -> list[P2PL]:
    """Return a list that strategies are added to when they start."""
    started: list[P2PL] = []
    start = P2PL.start

    def noted(self: P2PL, *given: Any, **named: Any) -> Any:
        started.append(self)
        return start(self, *given, **named)

    P2PL.start = noted  # type: ignore[method-assign]
    return started


if __name__ == "__main__":
    sys.exit(main())
