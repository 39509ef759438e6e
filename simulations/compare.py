"""The main job: the scenario's contenders, beside each other, on the same data and budget."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import History, Round, environment, line

from . import flower_engine, report, swarm_engine
from .samples import device_samples, scored_samples
from .scenario import Scenario

ENGINES = {"flower": flower_engine.run_contender, "swarm": swarm_engine.run_contender}


def compare(
    scenario: Scenario,
    folder: Path,
    engine: str = "flower",
    ray_address: str = "",
    save_models: bool = False,
) -> History:
    """Run the scenario's contenders, write the results into ``folder`` and return them.

    Parameters
    ----------
    scenario : Scenario
        What is compared.
    folder : Path
        Where results go.
    engine : str
        ``flower`` or ``swarm``.
    ray_address : str
        The Ray cluster to run on; empty for this machine alone.
    save_models : bool
        Whether the mean of each contender's trained models is written, into ``folder/models``.

    Raises
    ------
    ConfigError
        Something does not fit; nothing has been written then.
    """
    if engine not in ENGINES:
        raise ConfigError("engine", engine, "unknown name", ENGINES)
    if scenario.num_devices < 2:
        raise ConfigError("num-devices", scenario.num_devices, "must be at least 2")
    _check_writable(folder)
    device_samples(scenario, scenario.num_devices)  # before anything is started
    run = ENGINES[engine]
    models = folder / "models" if save_models else None
    runs = [run(scenario, c, _show, ray_address, models) for c in scenario.named_contenders()]
    scored = {report.IMAGES: len(scored_samples(scenario, scenario.max_test_samples)[1])}
    history = History(scenario.keys(), {**environment(), **scored}, runs)
    report.write(history, folder)
    return history


def _check_writable(folder: Path) -> None:
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError("out", str(folder), "must be a folder that can be written to")


def _show(name: str, measured: Round) -> None:
    """Tell on standard error how far a contender is."""
    sys.stderr.write(f"{name:>14}  {line(measured)}\n")
