"""Who holds the strongest initial model."""

from __future__ import annotations

import numpy as np

from p2pl_flower.algorithms.max_norm import Candidates, strongest


def test_candidates_by_scope() -> None:
    drawn = {"a": np.array([3.0, 0.0]), "n": np.array(5), "b": np.array([[4.0]])}
    assert Candidates.of(drawn, "model", 2).norms.tolist() == [5.0]
    assert Candidates.of(drawn, "tensor", 2).norms.tolist() == [3.0, 4.0]
    assert Candidates.of(drawn, "tensor", 2).origins.tolist() == [2, 2]


def candidates(*pairs: tuple[float, int]) -> Candidates:
    norms, origins = zip(*pairs, strict=True)
    return Candidates(np.array(norms), np.array(origins))


def test_strongest_takes_the_largest_norm_and_on_ties_the_smallest_origin() -> None:
    own = candidates((5.0, 4), (5.0, 4), (9.0, 4))
    others = {
        1: candidates((7.0, 1), (5.0, 1), (1.0, 1)),
        6: candidates((7.0, 0), (5.0, 6), (1.0, 6)),
    }
    assert strongest(4, own, others).tolist() == [6, 1, 4]


def test_who_has_nothing_takes_anything() -> None:
    nothing = Candidates.nothing(1, device=0)
    assert strongest(0, nothing, {3: candidates((0.0, 3))}).tolist() == [3]
    assert strongest(0, nothing, {}).tolist() == [0]
