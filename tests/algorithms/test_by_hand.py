"""Two rounds of each algorithm, worked out by hand.

Two devices mix by A = [[.75, .25], [.25, .75]] from w = (0, 0). Training goes half of the way to 0
and to 8, and adds the correction in full.
"""

from __future__ import annotations

import numpy as np
import pytest
from stacked import rounds

from p2pl_flower.algorithms import ALGORITHMS

MATRIX = np.array([[0.75, 0.25], [0.25, 0.75]])

# All begin with phi = (0, 4) and A phi = (1, 3).
CASES = {
    # r = (1, -1): phi = (1, 11) / 2 + r / 2 = (1, 5), A phi = (2, 4)
    "p2pl-affinity:strength=0.5": [[0, 4], [1, 3], [1, 5], [2, 4]],
    # y = (1, -1): phi = (1, 11) / 2 + y = (1.5, 4.5), A phi = (2.25, 3.75)
    # y = (1, -1) + (.75, -.75): phi = (2.25, 11.75) / 2 + (1.75, -1.75) = (2.875, 4.125)
    "led": [[0, 4], [1, 3], [1.5, 4.5], [2.25, 3.75], [2.875, 4.125], [3.1875, 3.8125]],
    # Delta = (0, 4), A Delta = (1, 3), d = (1, -1): phi = (1, 11) / 2 + d = (1.5, 4.5),
    # A phi = (2.25, 3.75); Delta = (.5, 1.5), A Delta = (.75, 1.25), d = (1.25, -1.25):
    # phi = (2.25, 11.75) / 2 + d = (2.375, 4.625)
    "k-gt": [[0, 4], [1, 3], [1.5, 4.5], [2.25, 3.75], [2.375, 4.625], [2.9375, 4.0625]],
    # sent: .5 phi = (0, 2), A of it (.5, 1.5); d = (1, -1): phi = (.5, 9.5) / 2 + d = (1.25, 3.75),
    # Delta = (.75, 2.25), sent (.875, 2.625), A of it (1.3125, 2.1875)
    "k-gt:step=0.5": [[0, 4], [0.5, 1.5], [1.25, 3.75], [1.3125, 2.1875]],
    # u = Delta = (0, 4), A u = y = (1, 3), w = (1, 3); trained (.5, 5.5), Delta = (-.5, 2.5),
    # u = y + (-.5, -1.5) = (.5, 1.5), w + u = (1.5, 4.5), A of it (2.25, 3.75)
    "gradient-tracking": [[0, 4], [1, 3], [0.5, 5.5], [2.25, 3.75]],
    # m = .25 (1, 3): phi = (1, 11) / 2 + .5 m = (.625, 5.875), A phi = (1.9375, 4.5625)
    "qg-dsgdm:beta=0.5,mu=0.75": [[0, 4], [1, 3], [0.625, 5.875], [1.9375, 4.5625]],
    # 1: 0.5 (1, 3); 2: phi = (.25, 5.75 - 1) = (.25, 4.75), A phi = (1.375, 3.625),
    # w = (.5, 1.5) + .5 (.875, 2.125) + .25 (.5, 1.5) = (1.0625, 2.9375)
    "slowmo:alpha=0.5,beta=0.25": [[0, 4], [0.5, 1.5], [0.25, 4.75], [1.0625, 2.9375]],
    # 1: m = 2 phi = (0, 8), A m = (2, 6), w = .5 of it = (1, 3)
    # 2: m = (1, 3) + 2 (-.5, 2.5) = (0, 8), A m = (2, 6),
    #    w = (1, 3) + .25 (1, 3) + .5 (1, 3) = (1.75, 5.25)
    "noloco:alpha=0.25,beta=1,gamma=0.5": [[0, 4], [1, 3], [0.5, 5.5], [1.75, 5.25]],
    # columns of A sum to 1, too, so that masses stay 1: P2PL
    "push-sum": [[0, 4], [1, 3], [0.5, 5.5], [1.75, 4.25]],
    # K y_kk = 2: sent (0, 2), A of it (.5, 1.5); the next, by 2/3, is in a file of its own
    "eigenvector-correction": [[0, 4], [0.5, 1.5]],
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_by_hand(name) -> None:
    def train(w, correction):
        return (w + np.array([0.0, 8.0])) / 2 + correction

    expected = CASES[name]
    made = rounds(ALGORITHMS.make(name), MATRIX, train, np.zeros(2))
    found = [
        w.tolist() for _, pair in zip(range(len(expected) // 2), made, strict=False) for w in pair
    ]
    assert found == expected


def test_every_algorithm_that_keeps_something_has_a_case() -> None:
    named = {name for name in ALGORITHMS.entries if not ALGORITHMS.make(name).is_plain}
    assert named - {name.partition(":")[0] for name in CASES} == {"exact-diffusion"}


@pytest.mark.parametrize("name", sorted({*CASES, "exact-diffusion"}))
def test_two_consensus_steps_are_one_with_the_matrix_squared(name) -> None:
    """What an algorithm makes of a round does not depend on where its steps are cut.

    Affinity remembers the last step alone, and is another algorithm then.
    """

    def train(w, correction):
        return (w + np.array([0.0, 8.0])) / 2 + correction

    def models(matrix, steps):
        algorithm = ALGORITHMS.make(name)
        halved = np.eye(2) + algorithm.mixing_step * (matrix - np.eye(2))
        whole = halved @ halved if steps == 1 else halved
        given = np.eye(2) + (whole - np.eye(2)) / algorithm.mixing_step
        made = rounds(algorithm, given, train, np.zeros(2), steps)
        return [model for _, (_, model) in zip(range(4), made, strict=False)]

    same = np.allclose(models(MATRIX, 2), models(MATRIX, 1), atol=1e-12)
    assert same == (not name.startswith("p2pl-affinity"))
