"""The validation part: held out from training, scored on in place of the test set."""

from __future__ import annotations

import numpy as np
import pytest

from p2pl_flower.errors import ConfigError
from simulations import datasets
from simulations.samples import device_samples, scored_samples
from simulations.scenario import Scenario
from simulations.validation import hold_out

KEYS = {"num-devices": 6, "topology": "ring", "partition": "dirichlet:0.5"}


def test_a_share_of_each_device_is_held_out():
    parts = [np.arange(0, 10), np.arange(10, 14), np.arange(14, 15)]
    kept, taken = hold_out(parts, 0.25, seed=3)
    assert [len(own) for own in kept] == [8, 3, 1]
    assert len(taken) == 3
    assert sorted([*np.concatenate(kept), *taken]) == list(range(15))
    again, _ = hold_out(parts, 0.25, seed=3)
    other, _ = hold_out(parts, 0.25, seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(kept, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(kept, other, strict=True))


def test_all_contenders_hold_out_the_same_samples():
    whole, held = Scenario.of(KEYS), Scenario.of({**KEYS, "validation": 0.2})
    before, after = device_samples(whole, 6), device_samples(held, 6)
    for own, kept in zip(before, after, strict=True):
        assert set(kept) < set(own)
        assert len(own) - len(kept) == int(0.2 * len(own))
    [pool] = device_samples(held, 1)  # centralized
    assert set(pool) == set(np.concatenate(after))


def test_models_are_scored_on_it_and_not_on_the_test_set():
    scenario = Scenario.of({**KEYS, "validation": 0.2})
    data = datasets.load("digits")
    taken = np.setdiff1d(np.arange(len(data.train_y)), device_samples(scenario, 1)[0])
    x, y = scored_samples(scenario)
    assert np.array_equal(y.numpy(), data.train_y[taken])
    assert np.allclose(x.numpy(), data.pixels(data.train_x[taken]))
    _, labels = scored_samples(Scenario.of(KEYS))
    assert np.array_equal(labels.numpy(), data.test_y)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"validation": 1.0}, "validation=1.0: must be in"),
        ({"validation": 0.1, "num-devices": 0}, "validation=0.1: needs num-devices"),
    ],
)
def test_refused(keys, message):
    with pytest.raises(ConfigError, match=message):
        Scenario.of({**KEYS, **keys})


def test_a_share_too_small_for_any_device_is_refused():
    scenario = Scenario.of({**KEYS, "validation": 0.001})
    with pytest.raises(ConfigError, match=r"validation=0\.001: holds out no sample"):
        device_samples(scenario, 6)
