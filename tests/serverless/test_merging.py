"""One history out of single devices': the same whoever ended first."""

from __future__ import annotations

import itertools

import pytest

from p2pl_flower.history import Round, Run, Scores, Spread
from p2pl_flower.serverless.merging import merge

LOSSES = (0.1, 0.2, 0.3, 1e16)


def of(device: int, loss: float, **setup) -> Run:
    scores = Scores(None, Spread.over([loss]))
    setup = {"models": {"asked": 2, "arrived": device}, "initial_model_of": [device], **setup}
    return Run("p2pl", "network", 0, 1, setup, [Round(1, None, scores, bytes_sent=10)])


def test_who_ended_first_makes_no_difference() -> None:
    runs = {d: of(d, loss) for d, loss in enumerate(LOSSES)}
    merged = [merge(dict(order), {}, 4) for order in itertools.permutations(runs.items())]
    assert merged[0].rounds[0].after_consensus.loss == Spread.over(LOSSES)
    assert merged[0].setup["models"] == {"asked": 8, "arrived": 6}
    assert merged[0].setup["initial_model_of"] == {str(d): [d] for d in range(4)}
    assert list(merged[0].setup["rounds_run"]) == ["0", "1", "2", "3"]
    assert all(other == merged[0] for other in merged)


@pytest.mark.parametrize(
    ("told", "agrees"),
    [
        ([True, True], True),
        ([True, False], False),
        ([None, True], True),
        ([None, False], False),
        ([None, None], None),
    ],
)
def test_all_agree_where_nobody_disagrees(told, agrees) -> None:
    runs = {d: of(d, 1.0, agrees=said) for d, said in enumerate(told)}
    assert merge(runs, {}, 2).setup["agrees"] is agrees
