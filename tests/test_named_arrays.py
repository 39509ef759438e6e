from __future__ import annotations

import numpy as np
import pytest

from p2pl_flower import named_arrays


def model(*values: float) -> dict[str, np.ndarray]:
    return {"w": np.array(values, dtype=np.float32)}


def test_mean_and_distance() -> None:
    models = [model(0, 0), model(2, 4)]
    assert named_arrays.mean_model(models)["w"].tolist() == [1, 2]
    # each is (1, 2) away from the mean: sqrt(5)
    assert named_arrays.consensus_distance(models) == pytest.approx(5**0.5)
    assert named_arrays.consensus_distance([model(3, 1)] * 4) == 0


def test_mean_keeps_integer_arrays_of_the_first() -> None:
    models = [{"w": np.ones(1), "n": np.array(3)}, {"w": np.zeros(1), "n": np.array(5)}]
    assert named_arrays.mean_model(models)["n"] == 3


def test_bytes_are_those_of_the_arrays() -> None:
    assert named_arrays.nbytes({"w": np.zeros((2, 3), np.float32), "n": np.array(1)}) == 32
