"""An algorithm's rounds on stacked NumPy arrays: the seam's contract in a dozen lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from p2pl_flower.algorithms import Algorithm
from p2pl_flower.topology import schedule
from p2pl_flower.weights import Metropolis, mixing_matrix

Stacked = NDArray[np.float64]
Train = Callable[[Stacked, Stacked], Stacked]
"""Makes trained models of those that training starts from and what is to be corrected in all."""

DEVICES, RATE = 8, 0.2


def rounds(
    algorithm: Algorithm, matrix: Stacked, train: Train, begin: Stacked, steps: int = 1
) -> Iterator[tuple[Stacked, Stacked]]:
    """Yield the models after each round's training and after its consensus, for ever."""
    gamma = algorithm.mixing_step
    mixing = np.eye(len(matrix)) + gamma * (matrix - np.eye(len(matrix)))
    model = {"w": begin}
    state = algorithm.start_at(model, (len(begin),), np.eye(len(begin), dtype=np.float32))
    while True:
        begun, correction, state = algorithm.before_training(model, state)
        trained = train(begun["w"], (correction or {"w": np.zeros_like(begin)})["w"])
        message, state = algorithm.after_training({"w": trained}, state)
        for _ in range(steps):
            mixed = {n: np.tensordot(mixing, array, 1) for n, array in message.items()}
            model, state = algorithm.after_mixing(message, mixed, state, gamma)
            message = mixed
        yield trained, model["w"]


class Quadratic:
    """Losses of devices on a ring, h_k (w - c_k)^2 / 2 in each of two coordinates.

    Their mean is least at sum_k h_k c_k / sum_k h_k.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.curvature = rng.uniform(0.5, 1.5, (DEVICES, 2))
        self.center = rng.normal(size=(DEVICES, 2)) * 3
        self.optimum = (self.curvature * self.center).sum(0) / self.curvature.sum(0)
        self.matrix = mixing_matrix(schedule("ring", DEVICES).graph(1), Metropolis())

    def train(self, local_steps: int, rate: float = RATE) -> Train:
        """Return local training by gradient steps, each with its share of the correction."""

        def train(w: Stacked, correction: Stacked) -> Stacked:
            for _ in range(local_steps):
                w = w - rate * self.curvature * (w - self.center) + correction / local_steps
            return w

        return train

    def models(
        self,
        algorithm: Algorithm,
        count: int,
        local_steps: int = 1,
        steps: int = 1,
        rate: float = RATE,
    ) -> Stacked:
        """Return all devices' models after some rounds."""
        begin = np.zeros((DEVICES, 2))
        made = rounds(algorithm, self.matrix, self.train(local_steps, rate), begin, steps)
        return next(model for number, (_, model) in enumerate(made, 1) if number == count)

    def distance(self, algorithm: Algorithm, count: int, **how: int) -> float:
        """Return the worst device's distance to the optimum of the mean loss."""
        models = self.models(algorithm, count, **how)
        return float(np.linalg.norm(models - self.optimum, axis=1).max())
