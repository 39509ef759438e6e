from __future__ import annotations

import numpy as np
import pytest

from p2pl_flower.options import ScoredRounds
from p2pl_flower.seeding import Stream, generator


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


def test_a_share_of_the_devices_rounded_up() -> None:
    devices = np.arange(3, 13)
    for fraction, count in ((0.3, 3), (0.31, 4), (0.01, 1), (1.0, 10)):
        scored = ScoredRounds(1, 1, fraction=fraction)
        found = scored.drawn(devices, generator(0, Stream.EVALUATE, 1))
        assert len(found) == count
        assert set(found) <= set(devices)
        assert (np.diff(found) > 0).all()
        assert not scored.drawn(devices[:0], generator(0, Stream.EVALUATE, 1)).size


def test_devices_are_drawn_anew_in_each_round_and_the_same_again() -> None:
    scored = ScoredRounds(1, 2, fraction=0.1)
    draws = [generator(0, Stream.EVALUATE, number) for number in (1, 2, 1)]
    first, second, again = (tuple(scored.drawn(range(100), draw)) for draw in draws)
    assert first == again != second
