import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pl_flower.errors import WeightsError
from p2pl_flower.weights import (
    DataSize,
    Metropolis,
    Uniform,
    check_matrix,
    mixing_matrix,
    spectral_gap,
    stationary_distribution,
)

PATH = nx.path_graph(3)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 0, 0], [0, 1, 0]], r"weights='matrix of shape \(2, 3\)': must be square"),
        ([], "must be square"),
        ([[1, 0], [0, 1]], "one row and column for each of the n=3 devices"),
        ([[1, 0], [0]], "weights='list': must be a matrix of numbers"),
        ([[1.5, -0.5, 0], [0, 1, 0], [0, 0, 1]], r"\[0, 1\] is -0.5 but must be non-negative"),
        ([[1, 0, 0], [0, np.nan, 0], [0, 0, 1]], r"\[1, 1\] is nan but must be non-negative"),
        ([[1.1, 0, 0], [0, 1.3, 0], [0, 0, 1]], "row 1 sums to 1.3"),
        ([[0.5, 0, 0.5], [0, 1, 0], [0, 0, 1]], r"\[0, 2\] is 0.5 .*not linked"),
    ],
)
def test_check_matrix_refuses(matrix, message):
    with pytest.raises(WeightsError, match=message):
        check_matrix(matrix, PATH)


def test_check_matrix_accepts_and_converts():
    assert check_matrix([[1, 0], [0, 1]]).dtype == np.float64
    assert check_matrix(np.array([[0.5, 0.5 + 9e-7], [0, 1]]), n=2).shape == (2, 2)
    with pytest.raises(WeightsError, match="n=4 devices"):
        check_matrix(np.eye(3), n=4)


def test_spectral_gap_by_hand():
    assert spectral_gap(np.full((4, 4), 0.25)) == pytest.approx(1)
    assert spectral_gap(np.eye(3)) == 0
    assert spectral_gap(np.array([[0.0, 1.0], [1.0, 0.0]])) == pytest.approx(0)
    assert spectral_gap(np.eye(1)) == 1
    assert spectral_gap(mixing_matrix(PATH, Metropolis())) == pytest.approx(1 / 3)
    ring = mixing_matrix(nx.cycle_graph(8), Uniform())
    assert spectral_gap(ring) == pytest.approx(1 - (1 + 2 * np.cos(2 * np.pi / 8)) / 3)


def test_stationary_distribution_by_hand():
    degrees_plus_1 = np.array([2, 3, 2])
    assert np.allclose(stationary_distribution(mixing_matrix(PATH, Uniform())), degrees_plus_1 / 7)
    assert np.allclose(stationary_distribution(mixing_matrix(PATH, Metropolis())), 1 / 3)
    mixing = mixing_matrix(PATH, DataSize(), {0: 10, 1: 30, 2: 60})
    expected = np.array([10 * 40, 30 * 100, 60 * 90])  # own samples times the neighborhood's
    assert np.allclose(stationary_distribution(mixing), expected / expected.sum())
    assert np.allclose(stationary_distribution(np.array([[0.0, 1.0], [1.0, 0.0]])), 0.5)


def test_stationary_distribution_of_reducible_matrices():
    leader = np.array([[1.0, 0.0], [0.5, 0.5]])
    assert np.allclose(stationary_distribution(leader), [1, 0])
    with pytest.raises(WeightsError, match="3 groups that listen to none but themselves"):
        stationary_distribution(np.eye(3))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 9), zeros=st.floats(0, 0.9), seed=st.integers(0, 2**32))
def test_stationary_distribution_is_what_all_agree_on(n, zeros, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.random((n, n)) * (rng.random((n, n)) >= zeros)
    matrix[:, 0] += 0.1  # everybody hears device 0: there is one closed group
    matrix /= matrix.sum(axis=1, keepdims=True)
    pi = stationary_distribution(matrix)
    assert (pi >= 0).all()
    assert pi.sum() == pytest.approx(1)
    assert np.allclose(np.linalg.matrix_power(matrix, 2000), pi)
