"""A small history, made by hand, for the tests of what is rendered from one."""

from __future__ import annotations

from p2pl_flower.history import History, Round, Run, Scores, Spread


def scores(mean: float, low: float, high: float, std: float = 0.01) -> Scores:
    return Scores(Spread(mean, low, high, std), None)


def small() -> History:
    """Two contenders; P2PL is not scored in its last round."""
    p2pl = Run("p2pl", "flower", 3, 4, {"bytes_sent": 500, "synchronization_steps": 2})
    p2pl.rounds = [
        Round(1, scores(0.4, 0.3, 0.5), scores(0.5, 0.4, 0.6), 2.0, 1000, 400, 60, 1.0),
        Round(2, scores(0.8, 0.7, 0.9), scores(0.91234, 0.9, 0.95), 0.5, 2000, 800, 80, 3.0),
        Round(3, None, None, None, 3000, 600, 100, 2.5),
    ]
    local = Run("local", "flower", 3, 4)
    local.rounds = [Round(1, after_consensus=scores(0.25, 0.2, 0.3), bytes_sent=0)]
    scenario = {"topology": "ring", "num-devices": 4, "seed": 3, "weights": "a|b"}
    return History(scenario, {"python": "3.11.0", "cores": 2}, [p2pl, local])
