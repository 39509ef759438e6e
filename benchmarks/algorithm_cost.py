"""Seconds a round of the swarm takes under each algorithm, beside P2PL's.

``python -m benchmarks.algorithm_cost`` runs, in turn and several times over, a few rounds of every
algorithm on the MNIST scenario (100 devices with 600 images, 784-200-200-10 perceptron, batches of
10, one epoch, one consensus step on Erdos-Renyi p=0.1) and scores nothing. It notes the quickest
round of each, which other work on the machine disturbs least, how many times P2PL's that is, and
the bytes that devices send.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from p2pl_flower.algorithms import ALGORITHMS
from p2pl_flower.swarm import Machine
from simulations.scenario import Scenario

from .swarm_common import WARM_UP, parser, seconds, swarm, write

REFERENCE = "p2pl"

Repeat = Mapping[str, float]


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    line = parser(__file__, __doc__)
    line.add_argument("--repeats", type=int, default=5, help="times that all are run")
    line.add_argument("--rounds", type=int, default=4, help="rounds of each to measure")
    parsed = line.parse_args(arguments)
    names = [REFERENCE, *sorted({*ALGORITHMS.entries} - {REFERENCE})]
    machine, sent = Machine(parsed.device), {}
    repeats: list[dict[str, float]] = []
    for _ in range(parsed.repeats):
        repeats.append({})
        for name in names:
            scenario = Scenario.load("mnist", {"contenders": "p2pl", "algorithm": name})
            run = swarm(scenario, machine, WARM_UP + parsed.rounds).run()
            repeats[-1][name] = round(min(seconds(run)), 4)
            sent[name] = run.rounds[-1].bytes_sent or 0
    write(parsed, table(repeats, sent), repeats=repeats, bytes_sent=sent)
    return 0


def table(repeats: Sequence[Repeat], sent: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Return an algorithm in each row: its round, how many times P2PL's, and its bytes."""
    rows: list[tuple[str, ...]] = [("algorithm", "s/round", "times P2PL's", "times P2PL's bytes")]
    least = {name: min(repeat[name] for repeat in repeats) for name in sent}
    for name, taken in least.items():
        times = f"{taken / least[REFERENCE]:.2f}"
        rows.append((name, f"{taken:.2f}", times, f"{sent[name] / sent[REFERENCE]:.0f}"))
    return rows


if __name__ == "__main__":
    sys.exit(main())
