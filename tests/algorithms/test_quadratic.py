"""On a quadratic whose optimum is known: who reaches it, and who stays off it."""

from __future__ import annotations

import numpy as np
import pytest
from stacked import DEVICES, Quadratic, rounds

from p2pl_flower.algorithms import ALGORITHMS
from p2pl_flower.algorithms.led import LocalExactDiffusion
from p2pl_flower.algorithms.noloco import NoLoCo
from p2pl_flower.algorithms.slowmo import SlowMomentum

PROBLEM = Quadratic()
EXACT = ["exact-diffusion", "led", "led:strength=0.5", "k-gt", "k-gt:step=0.7", "gradient-tracking"]
IN_EVERY_STEP = [name for name in EXACT if name.startswith(("led", "k-gt"))]
BLACK_BOX = ["exact-diffusion", "gradient-tracking"]
MOMENTA = ["qg-dsgdm:mu=0.5", "slowmo", "noloco:beta=1"]


def distance(name: str, count: int, **how: int) -> float:
    """Return the worst device's distance to the optimum of the mean loss."""
    return PROBLEM.distance(ALGORITHMS.make(name), count, **how)


@pytest.mark.parametrize("name", ["p2pl", "dsgd"])
def test_plain_averaging_stays_off_the_optimum_by_a_bias(name) -> None:
    assert distance(name, 500) == pytest.approx(distance(name, 2000), rel=1e-6)  # it has settled
    assert distance(name, 2000) > 0.1


@pytest.mark.parametrize("name", EXACT)
def test_corrected_ones_reach_it(name) -> None:
    assert distance(name, 2000) < 1e-6


@pytest.mark.parametrize("steps", [2, 3])
@pytest.mark.parametrize("name", EXACT)
def test_several_consensus_steps_do_not_keep_them_from_it(name, steps) -> None:
    assert distance(name, 2000, steps=steps) < 1e-6


@pytest.mark.parametrize("name", IN_EVERY_STEP)
def test_several_local_steps_do_not_keep_those_from_it_that_correct_each(name) -> None:
    assert distance(name, 2000, local_steps=4) < 1e-6
    assert distance(name, 2000, local_steps=4, steps=2) < 1e-6


@pytest.mark.parametrize("name", BLACK_BOX)
def test_with_several_local_steps_a_smaller_bias_is_left(name) -> None:
    left = distance(name, 2000, local_steps=4)
    assert 1e-3 < left < 0.5 * distance("p2pl", 2000, local_steps=4)


@pytest.mark.parametrize("name", BLACK_BOX)
def test_that_bias_is_federated_averaging_s(name) -> None:
    average = rounds(
        ALGORITHMS.make("dsgd"),
        np.full((DEVICES, DEVICES), 1 / DEVICES),
        PROBLEM.train(local_steps=4),
        np.zeros((DEVICES, 2)),
    )
    limit = next(model for number, (_, model) in enumerate(average) if number == 500)
    found = PROBLEM.models(ALGORITHMS.make(name), 2000, local_steps=4)
    assert found == pytest.approx(limit, abs=1e-6)


@pytest.mark.parametrize("name", MOMENTA)
def test_momentum_leaves_the_bias_as_it_is(name) -> None:
    assert distance(name, 2000) == pytest.approx(distance("p2pl", 2000), rel=1e-6)


@pytest.mark.parametrize("name", MOMENTA)
def test_momentum_gets_there_sooner_where_steps_are_small(name) -> None:
    settled = PROBLEM.models(ALGORITHMS.make("p2pl"), 5000, rate=0.01)

    def late(algorithm: str, count: int) -> float:
        models = PROBLEM.models(ALGORITHMS.make(algorithm), count, rate=0.01)
        return float(np.abs(models - settled).max())

    assert late(name, 2000) < 1e-6
    assert late(name, 300) < 0.5 * late("p2pl", 300)


def test_noloco_is_slow_momentum_where_both_pulls_are_alike() -> None:
    noloco, slowmo = NoLoCo(alpha=0.5, beta=0.8, gamma=0.8), SlowMomentum(beta=0.5, alpha=0.8)
    expected = PROBLEM.models(slowmo, 20, steps=2)
    assert PROBLEM.models(noloco, 20, steps=2) == pytest.approx(expected, abs=1e-12)


def test_led_of_one_local_step_is_exact_diffusion_of_the_same_matrix() -> None:
    """Exact diffusion halves the step of consensus; LED is given the halved matrix."""
    halved = (np.eye(DEVICES) + PROBLEM.matrix) / 2
    made = rounds(LocalExactDiffusion(), halved, PROBLEM.train(1), np.zeros((DEVICES, 2)))
    found = [model for _, (_, model) in zip(range(20), made, strict=False)]
    expected = PROBLEM.models(ALGORITHMS.make("exact-diffusion"), 20)
    assert found[-1] == pytest.approx(expected, abs=1e-12)


def test_exact_diffusion_by_hand() -> None:
    """Two devices on a path: (I + A) / 2 = [[.75, .25], [.25, .75]]."""
    algorithm = ALGORITHMS.make("exact-diffusion")
    model = {"w": np.array([0.0, 0.0])}
    state = algorithm.start(model, (2,))
    mixing = np.array([[0.75, 0.25], [0.25, 0.75]])
    seen = []
    for _ in range(2):  # training goes half of the way to 0 and to 8
        begun, _, state = algorithm.before_training(model, state)
        message, state = algorithm.after_training({"w": (begun["w"] + [0, 8]) / 2}, state)
        model = {"w": mixing @ message["w"]}
        seen.append((message["w"].tolist(), model["w"].tolist()))
    # 1: psi = phi = (0, 4), w = (1, 3)
    # 2: psi = (.5, 5.5), phi = psi + (1, 3) - (0, 4) = (1.5, 4.5), w = (2.25, 3.75)
    assert seen == [([0, 4], [1, 3]), ([1.5, 4.5], [2.25, 3.75])]
