"""Arrays that are made once, whole or not at all, by however many at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from p2pl_flower.errors import ConfigError
from simulations import cache


def test_arrays_are_made_once_and_read_afterwards(tmp_path):
    calls = []

    def make(beside: Path):
        calls.append(beside)
        assert beside.is_dir()
        return {"a": np.arange(6).reshape(2, 3), "b": np.array([1.5], np.float32)}

    target = tmp_path / "deep" / "target"
    first, second = cache.arrays(target, make), cache.arrays(target, make)
    assert len(calls) == 1
    assert [p.name for p in target.parent.iterdir()] == ["target"]
    for found in (first, second):
        assert sorted(found) == ["a", "b"]
        np.testing.assert_array_equal(found["a"], [[0, 1, 2], [3, 4, 5]])
        assert found["b"].dtype == np.float32
        assert type(found["b"]) is np.ndarray


def test_writing_into_an_array_changes_nobody_elses(tmp_path):
    target = tmp_path / "target"
    found = cache.arrays(target, lambda _: {"a": np.zeros(3)})["a"]
    found[0] = 7
    assert cache.arrays(target, dict)["a"][0] == 0


def test_a_failure_leaves_nothing_behind(tmp_path):
    def fail(beside: Path):
        (beside / "half").write_text("half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        cache.arrays(tmp_path / "target", fail)
    assert not list(tmp_path.iterdir())


def test_several_may_make_the_same_at_once(tmp_path):
    together = threading.Barrier(4)

    def make(_: Path):
        together.wait(timeout=10)
        return {"a": np.ones(5)}

    def read(_: int):
        return cache.arrays(tmp_path / "target", make)["a"].sum()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(4))) == [5.0] * 4
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("length", [0, 40, 130])
def test_a_corrupt_file_is_named(tmp_path, length):
    target = tmp_path / "target"
    cache.arrays(target, lambda _: {"a": np.ones(5)})
    file = target / "a.npy"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(ConfigError, match=r"cache=.*target': is corrupt .*delete it"):
        cache.arrays(target, dict)


def test_the_folder_is_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder().parent == tmp_path / "p2pl-flower"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder().parent == tmp_path / ".cache" / "p2pl-flower"
