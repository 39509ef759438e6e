"""Flower's Ray simulation, with a contender of the comparison's."""

from __future__ import annotations

from p2pl_flower.history import Round
from simulations.flower_engine import run_contender
from simulations.scenario import Scenario
from strategies import contender

from ..clock import Clock, Work
from ..setting import Setting


def work_of(name: str) -> Work:
    """Return what runs a contender; one more round than asked for, the one that is scored."""

    def work(setting: Setting, clock: Clock) -> float:
        last = setting.rounds + 1
        keys = {
            "contenders": name,
            "num-devices": setting.devices,
            "local-epochs": setting.epochs,
            "batch-size": setting.batch,
            "learning-rate": setting.rate,
            "momentum": setting.momentum,
            "rounds": last,
            "evaluate-every": last,
        }

        def on_round(_: str, measured: Round) -> None:
            if measured.round != last:
                clock.tick()

        run = run_contender(Scenario.load("mnist", keys), contender(name), on_round)
        scores = run.final().after_consensus
        return float(scores.accuracy.mean) if scores and scores.accuracy else float("nan")

    return work
