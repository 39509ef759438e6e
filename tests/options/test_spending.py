"""Epsilon is Opacus' own."""

from __future__ import annotations

import importlib.util
import warnings

import pytest

from p2pl_flower.algorithms.privacy import NOT_PRIVATE, Gaussian, NotPrivate
from p2pl_flower.errors import ConfigError
from p2pl_flower.flower.strategy import P2PL
from p2pl_flower.options import Spending


@pytest.mark.slow  # it imports PyTorch and more
@pytest.mark.parametrize(("noise", "delta"), [(1.1, 1e-5), (4.0, 1e-6)])
def test_epsilon_is_that_of_opacus(noise: float, delta: float) -> None:
    accountants = pytest.importorskip("opacus.accountants")
    theirs = accountants.RDPAccountant()
    ours = Spending(Gaussian(1.0, noise, delta))
    assert ours.epsilon == 0
    spent = []
    for _ in range(4):
        theirs.step(noise_multiplier=noise, sample_rate=1.0)
        ours.trained([0, 1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            assert ours.epsilon == pytest.approx(theirs.get_epsilon(delta), rel=1e-12)
        spent.append(ours.epsilon)
    assert spent == sorted(set(spent))
    assert ours.each == {"epsilon_per_round": spent[0]}
    ours.trained([1])
    assert ours.epsilon == ours.of(5) > spent[-1]  # of the device that has spent most


@pytest.mark.slow
def test_what_the_page_says_of_a_usual_multiplier() -> None:
    pytest.importorskip("opacus")
    spending = Spending(Gaussian(1.0, 1.1))
    assert 4 < spending.of(1) < 5
    assert 16 < spending.of(10) < 17
    assert spending.of(1000) > 10 * spending.of(10)


def test_nothing_is_counted_without_privacy() -> None:
    spending = Spending(NOT_PRIVATE)
    spending.trained([0])
    assert (spending.epsilon, spending.each) == (None, {})


def test_an_accountant_is_needed(monkeypatch) -> None:
    class Own(NotPrivate):
        is_private = True

    with pytest.raises(ConfigError, match="privacy='Own': has no accountant"):
        Spending(Own())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'p2pl-flower\[privacy\]'"):
        P2PL("ring", privacy="gaussian:clip=1,noise=1")
