"""The ServerApp of ``flwr run .``: runs the contender that the run config names."""

from __future__ import annotations

import logging

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from p2pl_flower.history import History, environment

from . import report
from .attacks.flower import attacked
from .scenario import Scenario
from .task import make_task, reported, with_attackers

log = logging.getLogger("flwr.p2pl")

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run one contender, and log what came out as a table."""
    scenario = Scenario.of_run(context.run_config)
    [contender] = scenario.named_contenders()
    task = make_task(scenario, reported(scenario, contender), connect_timeout=10.0)
    run = contender.run(grid, attacked(task, scenario.attacking, contender))
    run = with_attackers(run, scenario.attacking.attackers(scenario.seed, run.devices))
    history = History(scenario.keys(), environment(), [run])
    for line in report.table(history).splitlines():
        log.info("%s", line)
