import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from p2pl_flower.errors import ConfigError
from p2pl_flower.links.markov import TwoState
from p2pl_flower.seeding import Stream, uniform


def test_transition_probabilities_by_hand():
    chain = TwoState(good=0.8, bad_run=4)
    assert chain.recover == 0.25
    assert chain.fail == pytest.approx(0.0625)
    assert chain.recover / (chain.fail + chain.recover) == pytest.approx(0.8)


@settings(max_examples=60, deadline=None)
@given(good=st.floats(0.05, 1), slack=st.floats(1, 10), seed=st.integers(0, 2**64 - 1))
@example(good=0.5, slack=1.0, seed=1)  # certain to flip each round
@example(good=0.5, slack=1.2, seed=1)  # unsettled numbers flip
@example(good=0.5, slack=2.0, seed=1)  # no memory at all
@example(good=0.9, slack=9.0, seed=1)  # unsettled numbers keep
@example(good=1.0, slack=3.0, seed=1)  # never bad
def test_coupling_equals_walking_forward_from_round_0(good, slack, seed):
    chain = TwoState(good, slack * max(1.0, (1 - good) / good))
    rounds, links = np.arange(41), np.arange(6)
    u = uniform(seed, Stream.BURST, links, 7, rounds[:, np.newaxis])
    walked = np.empty((41, 6), dtype=bool)
    walked[0] = u[0] >= 1 - good
    for t in rounds[1:]:
        walked[t] = np.where(walked[t - 1], u[t] >= chain.fail, u[t] >= 1 - chain.recover)
    coupled = chain.state(seed, Stream.BURST, links, 7, round_number=rounds[:, np.newaxis])
    assert np.array_equal(coupled, walked)


def test_state_has_the_shape_of_the_arguments():
    chain = TwoState(0.5, 3)
    assert chain.state(0, Stream.CHURN, 3, round_number=4).shape == ()
    assert chain.state(0, Stream.CHURN, [], round_number=4).shape == (0,)
    assert chain.state(0, Stream.CHURN, [[1], [2]], round_number=[4, 5, 6]).shape == (2, 3)


def test_the_shortest_run_is_allowed_and_a_shorter_one_is_not():
    for good in (0.1, 0.3, 1 / 3, 0.7):
        TwoState(good, max(1.0, (1 - good) / good)).check_run("burst")
    for bad_run in (2.9, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match=r"burst=.* at least 3 rounds"):
            TwoState(0.25, bad_run).check_run("burst")
