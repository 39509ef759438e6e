"""What the contenders of a scenario are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from flwr.app import ArrayRecord, MetricRecord

from p2pl_flower.history import Round, Run
from p2pl_flower.options import told
from p2pl_flower.seeding import Stream, derive
from strategies import Contender, Task

from .attacks.flower import relay_of
from .client_app import make_model, score
from .scenario import Scenario


def reported(
    scenario: Scenario, contender: Contender, show: Callable[[str, Round], None] | None = None
) -> Callable[[Round], None]:
    """Return what is called with each round of a contender: ``show``, and the loggers."""
    log = told(scenario.loggers, run=contender.name)

    def on_round(measured: Round) -> None:
        if show is not None:
            show(contender.name, measured)
        if log is not None:
            log(measured)

    return on_round


def with_attackers(run: Run, attackers: Sequence[int]) -> Run:
    """Return a run whose history says who attacked."""
    told = {"attackers": list(attackers)} if attackers else {}
    return replace(run, setup={**run.setup, **told})


def make_task(
    scenario: Scenario,
    on_round: Callable[[Round], None] | None = None,
    connect_timeout: float = 60.0,
    on_result: Callable[[ArrayRecord], None] | None = None,
) -> Task:
    """Return the task that a scenario sets.

    The common start, for contenders that have one, is the model that device 0 would draw.
    """

    def evaluate(arrays: ArrayRecord) -> MetricRecord:
        model = make_model(scenario, seed=0)
        model.load_state_dict(arrays.to_torch_state_dict())
        return score(scenario, model)

    start = make_model(scenario, derive(scenario.seed, Stream.INIT, 0))
    return Task(
        devices=scenario.num_devices or None,
        rounds=scenario.rounds,
        evaluate_every=scenario.evaluate_every,
        evaluate_trained=scenario.evaluate_trained,
        fraction_evaluate=scenario.fraction_evaluate,
        topology=scenario.topology,
        options=scenario.peer_options(),
        seed=scenario.seed,
        initial_arrays=ArrayRecord(start.state_dict()),
        evaluate=evaluate,
        on_round=on_round,
        on_result=on_result,
        fraction_train=scenario.fraction_train,
        connect_timeout=connect_timeout,
        relay=relay_of(scenario, scenario.relay),
        clock=scenario.run_clock(),
        server_gone=scenario.server_gone,
    )
