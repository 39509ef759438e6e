"""Every scheme gives each device its own samples, and the same ones for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pl_flower.errors import ConfigError
from simulations import cache
from simulations.partition import SCHEMES, partition

SPECS = ["iid", "linear", "dirichlet:0.3", "dirichlet:alpha=0.001", "pathological:2", "shards:2"]
LABELS = np.random.default_rng(0).integers(0, 10, 600)


@pytest.fixture(autouse=True, scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "folder", lambda: folder)
        yield folder


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("spec", SPECS)
def test_contract(spec):
    parts = partition(spec, LABELS, 20, seed=1)
    everything = np.concatenate(parts)
    assert len(parts) == 20
    assert all(part.dtype == np.int64 and part.ndim == 1 and len(part) for part in parts)
    assert all((np.diff(part) > 0).all() for part in parts)
    assert sorted(everything) == list(range(600))
    assert same(parts, partition(spec, LABELS.tolist(), 20, seed=1))
    assert not same(parts, partition(spec, LABELS, 20, seed=2))


@pytest.mark.parametrize("spec", SPECS)
def test_kept_and_made_anew_are_the_same(monkeypatch, tmp_path, spec):
    old = partition(spec, LABELS, 12, seed=3)
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "empty")
    assert same(old, partition(spec, LABELS, 12, seed=3))
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "file" / "cache")
    assert same(old, partition(spec, LABELS, 12, seed=3))


@pytest.mark.filterwarnings("ignore:partition=")  # too few devices for all classes
@given(
    labels=st.lists(st.integers(0, 3), min_size=8, max_size=40),
    devices=st.integers(1, 8),
    spec=st.sampled_from(["iid", "dirichlet:0.1", "shards:1"]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_no_sample_twice_and_no_device_without(labels, devices, spec, seed):
    parts = partition(spec, np.array(labels), devices, seed)
    everything = np.concatenate(parts)
    assert min(len(part) for part in parts) >= 1
    assert len(np.unique(everything)) == len(everything)
    if not spec.startswith("shards"):
        assert len(everything) == len(labels)


def test_iid_shares_are_equal_and_shuffled():
    labels = np.sort(LABELS)
    parts = partition("iid", labels, 7, seed=0)
    assert {len(part) for part in parts} == {85, 86}
    assert min(len(set(labels[part])) for part in parts) >= 8


def test_linear_shares_grow_with_the_device():
    sizes = np.array([len(part) for part in partition("linear", LABELS, 20, seed=0)])
    assert np.abs(sizes - 600 * np.arange(1, 21) / 210).max() < 20  # rounding goes to the last


def test_dirichlet_is_even_for_a_large_alpha_only():
    even = [len(part) for part in partition("dirichlet:1000", LABELS, 10, seed=0)]
    uneven = [len(part) for part in partition("dirichlet:0.1", LABELS, 10, seed=0)]
    assert np.std(even) < 5 < 20 < np.std(uneven)


def test_dirichlet_leaves_no_device_without_a_sample():
    parts = partition("dirichlet:0.01", LABELS[:100], 90, seed=0)
    assert min(len(part) for part in parts) == 1
    assert sum(len(part) for part in parts) == 100


@pytest.mark.parametrize("classes", [1, 3, 10])
def test_pathological_devices_have_so_many_classes(classes):
    parts = partition(f"pathological:{classes}", LABELS, 12, seed=5)
    assert {len(set(LABELS[part])) for part in parts} == {classes}


def test_shards_are_of_equal_size_and_few_classes():
    parts = partition("shards:2", LABELS[:599], 20, seed=5)
    assert {len(part) for part in parts} == {28}  # 599 // 40 = 14 a shard
    assert max(len(set(LABELS[part])) for part in parts) <= 4


def test_classes_that_no_device_has_are_told():
    with pytest.warns(UserWarning, match=r"partition='pathological:1': .* \[3, 4, 5, 6, 7, 8, 9\]"):
        partition("pathological:1", LABELS, 3, seed=0)


@pytest.mark.parametrize(
    ("spec", "pattern"),
    [
        ("idd", "unknown name; choose one of: dirichlet, iid, linear, pathological, shards"),
        ("dirichlet", "needs alpha"),
        ("dirichlet:0", "alpha=0.0: must be positive"),
        ("dirichlet:-1", "alpha=-1.0: must be positive"),
        ("dirichlet:nan", "alpha=nan: must be positive"),
        ("dirichlet:inf", "alpha=inf: must be positive"),
        ("pathological:0", "classes=0: must be 1 or more"),
        ("pathological:11", "classes=11: must be the dataset's number of classes, 10, at most"),
        ("pathological:1.5", "classes must be of type int"),
        ("shards:0", "shards=0: must be 1 or more"),
        ("shards:61", "shards=61: times 10 devices must be the 600 samples at most"),
    ],
)
def test_refused(spec, pattern):
    with pytest.raises(ConfigError, match=pattern) as caught:
        partition(spec, LABELS, 10, seed=0)
    assert caught.value.argument == "partition"
    assert caught.value.value == spec


def test_what_flower_datasets_refuses_is_refused():
    labels = np.array([0] * 50 + [1])
    pattern = "partition='pathological:2'.*more partitions"
    with pytest.raises(ConfigError, match=pattern) as caught:
        partition("pathological:2", labels, 5, seed=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("devices", [0, 601])
def test_number_of_devices(devices):
    with pytest.raises(ConfigError, match=f"num-devices={devices}: must be from 1 to .*, 600"):
        partition("iid", LABELS, devices, seed=0)


def test_one_device_has_it_all():
    assert sorted(SCHEMES.entries) == ["dirichlet", "iid", "linear", "pathological", "shards"]
    [part] = partition("iid", LABELS, 1, seed=0)
    np.testing.assert_array_equal(part, np.arange(600))
