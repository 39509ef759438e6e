"""The main job: the scenario's contenders, beside each other, on the same data and budget."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import History, Round, environment

from . import flower_engine, report, swarm_engine
from .progress import Shown
from .samples import device_samples, scored_samples
from .scenario import Scenario
from .watching import Watched

ENGINES = {"flower": flower_engine.run_contender, "swarm": swarm_engine.run_contender}


def compare(
    scenario: Scenario,
    folder: Path,
    engine: str = "flower",
    ray_address: str = "",
    save_models: bool = False,
    watch: str = "",
    token: str = "",
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
    watch : str
        ``HOST:PORT`` at which the report is served while it grows; empty for nowhere.
    token : str
        What its readers must bring, if they are not on this machine.

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
    contenders, runs = scenario.named_contenders(), []
    with ExitStack() as stack:
        shown = Shown([c.name for c in contenders], scenario.rounds)
        told = [shown.show, *_watched(stack, scenario, engine, watch, token)]
        stack.enter_context(shown)
        if engine == "flower":
            stack.enter_context(flower_engine.ready(scenario, ray_address))

        def on_round(name: str, measured: Round) -> None:
            for tell in told:
                tell(name, measured)

        for contender in contenders:
            shown.begin(contender.name)
            runs.append(run(scenario, contender, on_round, ray_address, models))
    scored = {report.IMAGES: len(scored_samples(scenario, scenario.max_test_samples)[1])}
    history = History(scenario.keys(), {**environment(), **scored}, runs)
    report.write(history, folder)
    return history


def _watched(
    stack: ExitStack, scenario: Scenario, engine: str, watch: str, token: str
) -> list[Callable[[str, Round], None]]:
    """Serve the report, if there is an address, and return who is to be told of rounds for it."""
    if not watch:
        return []
    watched = Watched(scenario, engine, watch, token)
    stack.callback(watched.close)
    sys.stderr.write(f"to be watched at {watched.url}\n")
    return [watched.show]


def _check_writable(folder: Path) -> None:
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError("out", str(folder), "must be a folder that can be written to")
