"""On a quadratic whose optimum is known: who reaches it, and who stays off it."""

from __future__ import annotations

import numpy as np
import pytest

from p2pl_flower.algorithms import ALGORITHMS
from p2pl_flower.topology import schedule
from p2pl_flower.weights import Metropolis, mixing_matrix

DEVICES, RATE = 8, 0.2


def distance(name: str, rounds: int, local_steps: int = 1) -> float:
    """Return the worst device's distance to the optimum of the mean loss.

    Device k's loss is h_k (w - c_k)^2 / 2 in each of two coordinates; the mean is least at
    sum_k h_k c_k / sum_k h_k.
    """
    rng = np.random.default_rng(0)
    curvature, center = rng.uniform(0.5, 1.5, (DEVICES, 2)), rng.normal(size=(DEVICES, 2)) * 3
    optimum = (curvature * center).sum(0) / curvature.sum(0)
    algorithm = ALGORITHMS.make(name)
    matrix = mixing_matrix(schedule("ring", DEVICES).graph(1), Metropolis())
    gamma = algorithm.mixing_step
    mixing = np.eye(DEVICES) + gamma * (matrix - np.eye(DEVICES))
    model = {"w": np.zeros((DEVICES, 2))}  # stacked: a leading axis for the devices
    state = algorithm.start(model, (DEVICES,))
    for _ in range(rounds):
        begun, correction, state = algorithm.before_training(model, state)
        w = begun["w"]
        for _ in range(local_steps):
            w = w - RATE * curvature * (w - center)
            if correction is not None:
                w = w + correction["w"] / local_steps
        message, state = algorithm.after_training({"w": w}, state)
        mixed = {n: np.tensordot(mixing, array, 1) for n, array in message.items()}
        model, state = algorithm.after_mixing(message, mixed, state, gamma)
    return float(np.linalg.norm(model["w"] - optimum, axis=1).max())


@pytest.mark.parametrize("name", ["p2pl", "dsgd"])
def test_plain_averaging_stays_off_the_optimum_by_a_bias(name) -> None:
    assert distance(name, 500) == pytest.approx(distance(name, 2000), rel=1e-6)  # it has settled
    assert distance(name, 2000) > 0.1


def test_exact_diffusion_reaches_it() -> None:
    assert distance("exact-diffusion", 2000) < 1e-6


def test_with_several_local_steps_a_smaller_bias_is_left() -> None:
    left = distance("exact-diffusion", 2000, local_steps=4)
    assert 1e-3 < left < 0.5 * distance("p2pl", 2000, local_steps=4)


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
