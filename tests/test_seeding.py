import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pl_flower.seeding import Stream, batch_order, derive, generator, uniform

seeds = st.integers(0, 2**64 - 1)


def splitmix64(value):
    """The finalizer in Python integers, from the paper."""
    z = (value + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, a=st.integers(0, 2**31), b=st.integers(0, 2**31))
def test_uniform_by_hand(seed, a, b):
    state = splitmix64(seed)
    for coordinate in (int(Stream.LOSS), a, b):
        state = splitmix64(state ^ coordinate)
    assert uniform(seed, Stream.LOSS, a, b) == (state >> 11) / 2**53


def test_splitmix64_reference_value():
    assert splitmix64(0) == 0xE220A8397B1DCDAF  # first output of the generator seeded with 0


def test_uniform_broadcasts_and_does_not_depend_on_company():
    grid = uniform(1, Stream.CHURN, np.arange(3)[:, np.newaxis], np.arange(4))
    assert grid.shape == (3, 4)
    assert grid.dtype == np.float64
    assert grid[2, 1] == uniform(1, Stream.CHURN, 2, 1)
    assert uniform(1, Stream.CHURN, 2, 1).shape == ()
    assert grid[1, 2] != grid[2, 1]


def test_uniform_is_uniform_in_the_unit_interval():
    u = uniform(3, Stream.LOSS, np.arange(200)[:, np.newaxis], np.arange(200))
    assert ((u >= 0) & (u < 1)).all()
    counts = np.histogram(u, bins=20, range=(0, 1))[0]
    chi_squared = ((counts - 2000) ** 2 / 2000).sum()
    assert chi_squared < 44  # 99.9 % of draws with 19 degrees of freedom
    for axis in (0, 1):
        lagged = np.roll(u, 1, axis) - 0.5
        assert abs(((u - 0.5) * lagged).mean()) < 4 / (12 * 200)


@pytest.mark.parametrize("make", [uniform, derive, lambda *a: generator(*a).random()])
def test_streams_seeds_and_coordinates_are_apart(make):
    numbers = {float(make(seed, stream, c)) for seed in (0, 1) for stream in Stream for c in (0, 1)}
    assert len(numbers) == 4 * len(Stream)
    assert make(5, Stream.GRAPH, 2, 3) == make(5, Stream.GRAPH, 2, 3)
    assert make(5, Stream.GRAPH, 2, 3) != make(5, Stream.GRAPH, 3, 2)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_derived_seeds_have_63_bits(seed):
    assert 0 <= derive(seed, Stream.INIT, 4) < 2**63


def test_batch_order_is_a_permutation_of_its_own_for_each_epoch():
    order = batch_order(0, 3, 2, 1, 50)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(50))
    assert np.array_equal(order, batch_order(0, 3, 2, 1, 50))
    for other in ((1, 3, 2, 1), (0, 4, 2, 1), (0, 3, 3, 1), (0, 3, 2, 2)):
        assert not np.array_equal(order, batch_order(*other, 50))
    assert batch_order(0, 0, 1, 0, 0).shape == (0,)


def test_numbers_do_not_change_between_versions():
    assert uniform(7, Stream.LOSS, 1, 2, 3, 0) == 0.10463237930457459
