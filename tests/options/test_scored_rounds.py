from __future__ import annotations

import pytest

from p2pl_flower.options import ScoredRounds


@pytest.mark.parametrize(
    ("every", "last", "due"), [(1, 3, [1, 2, 3]), (3, 8, [3, 6, 8]), (9, 4, [4]), (0, 4, [])]
)
def test_every_nth_round_and_the_last(every: int, last: int, due: list[int]) -> None:
    scored = ScoredRounds(every, last)
    assert [n for n in range(1, last + 1) if scored.due(n)] == due
    assert [n for n in range(1, last + 1) if scored.due_after_training(n)] == due


def test_after_consensus_only() -> None:
    scored = ScoredRounds(2, 4, trained=False)
    assert scored.due(2)
    assert not scored.due_after_training(2)
