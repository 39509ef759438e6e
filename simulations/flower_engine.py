"""Runs contenders on Flower's Ray simulation, one after the other."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from p2pl_flower.history import Round, Run
from strategies import Contender

from . import trained
from ._compat import one_ray
from .attacks.flower import attacked
from .client_app import make_client_app, make_model
from .scenario import Scenario
from .task import make_task, reported, with_attackers

OnRound = Callable[[str, Round], None]

_ADDRESS = "RAY_ADDRESS"

# Ray warns at every start that this will become its default; it concerns GPUs only.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def run_contender(
    scenario: Scenario,
    contender: Contender,
    on_round: OnRound,
    ray_address: str = "",
    models: Path | None = None,
) -> Run:
    """Run one contender with a SuperNode for each device, and return what was measured.

    Ray is started on this machine, unless there is an address of a cluster, or `ready` has
    started it. The mean of the
    trained models goes into the folder ``models``, if there is one.

    Raises
    ------
    P2PLError
        As the contender's strategy does.
    """

    def keep(arrays: ArrayRecord) -> None:
        if models is not None:
            trained.save(models, contender.name, arrays.to_torch_state_dict())

    task = make_task(scenario, reported(scenario, contender, on_round), on_result=keep)
    task = attacked(task, scenario.attacking, contender)
    finished: list[Run] = []
    server_app = ServerApp()

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        finished.append(contender.run(grid, task))

    _quiet(logging.getLogger("flwr"))
    with _on_cluster(ray_address):
        run_simulation(
            server_app=server_app,
            client_app=make_client_app(lambda _: scenario),
            num_supernodes=contender.devices(scenario.num_devices),
            backend_config=_backend(scenario),
        )
    [run] = finished
    return with_attackers(run, scenario.attacking.attackers(scenario.seed, run.devices))


@contextmanager
def ready(scenario: Scenario, ray_address: str = "") -> Iterator[None]:
    """Start Ray, and load the scenario's data where devices will run, once for all contenders."""
    _quiet(logging.getLogger("flwr"))
    with _on_cluster(ray_address), one_ray(_backend(scenario), partial(_load, scenario)):
        yield


def _load(scenario: Scenario, actor: object) -> None:
    """Load what a device needs, within the process of an actor."""
    make_model(scenario, seed=0)


@contextmanager
def _on_cluster(address: str) -> Iterator[None]:
    """Tell Ray, and the relay that asks how many nodes it has, which cluster to use."""
    before = os.environ.pop(_ADDRESS, "")
    if address or before:
        os.environ[_ADDRESS] = address or before
    try:
        yield
    finally:
        os.environ.pop(_ADDRESS, None)
        if before:
            os.environ[_ADDRESS] = before


def _backend(scenario: Scenario) -> dict[str, Any]:
    """Give each simulated device one core and, where asked for, the GPU to all in turn."""
    gpus = 1.0 if scenario.torch_device == "cuda" else 0.0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    settings: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if not os.environ.get(_ADDRESS):  # a Ray of our own, whatever else runs on this machine
        settings |= {"address": "local", "num_cpus": cores or 1, "include_dashboard": False}
    return {"client_resources": {"num_cpus": 1, "num_gpus": gpus}, "init_args": settings}


def _quiet(flower: logging.Logger) -> None:
    """Leave the screen to our own progress: of Flower's log only errors, of ours warnings."""
    flower.setLevel(logging.ERROR)
    flower.getChild("p2pl").setLevel(logging.WARNING)
