"""A small claim, and runs of it that are made by hand."""

from __future__ import annotations

from p2pl_flower.history import Round, Run, Scores, Spread
from simulations.paper.claims import Claim

TOML = """
title = "A small claim"
text = "On digits."
reach = 0.2
columns = ["spectral gap", "bias"]
figures = ["accuracy", "oscillation", "spectral-gap", "spread"]

[scenario]
dataset = "digits"
num-devices = 6
topology = "ring"
rounds = 2
evaluate-every = 1

[[vary]]
contender = "p2pl"
topology = ["ring", "complete"]

[[vary]]
contender = "p2pl"
topology = "ring"
consensus-steps = 3

[[vary]]
contender = "fedavg"

[test]
mean = 1.0
worst = 2.0
cases = ["topology"]
"""


def made(claim: Claim, accuracies: list[tuple[float, float]], seed: int = 0) -> list[Run]:
    """Return a run for each variant whose mean and worst accuracy are given."""
    return [
        Run(
            variant.contender,
            variant.engine,
            seed,
            6,
            rounds=[
                Round(1, after_consensus=Scores(Spread(mean / 2, 0, 1, 0), None), bytes_sent=1),
                Round(2, after_consensus=Scores(Spread(mean, worst, 1, 0), None), bytes_sent=1),
            ],
            settings=variant.settings,
        )
        for variant, (mean, worst) in zip(claim.variants, accuracies, strict=True)
    ]
