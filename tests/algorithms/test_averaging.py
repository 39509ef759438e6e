"""The weighted sum of a consensus step."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from p2pl_flower import named_arrays
from p2pl_flower.algorithms import averaging
from p2pl_flower.algorithms.averaging import weighted_sum
from p2pl_flower.errors import LayoutError


def model(*values: float) -> dict[str, np.ndarray]:
    return {"w": np.array(values, dtype=np.float32)}


def test_mix_is_the_formula() -> None:
    # w = 1 + 0.5 * (0.25 * (3 - 1) + 0.5 * (-1 - 1)) = 1 + 0.5 * (0.5 - 1) = 0.75
    mixed = weighted_sum(model(1), {1: model(3), 2: model(-1)}, {1: 0.25, 2: 0.5}, gamma=0.5)
    assert mixed["w"].tolist() == [0.75]
    assert mixed["w"].dtype == np.float32


def test_mix_without_answers_keeps_the_model() -> None:
    own = model(1, 2)
    mixed = weighted_sum(own, {}, {})
    assert mixed["w"].tolist() == [1, 2]
    mixed["w"][0] = 9
    assert own["w"][0] == 1


def test_arrays_of_no_dimension_are_mixed() -> None:
    own, other = ({"w": np.float32(v).reshape(())} for v in (1, 3))
    mixed = weighted_sum(own, {4: other}, {4: 0.5})
    assert mixed["w"].shape == ()
    assert mixed["w"] == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_is_kept(dtype: type) -> None:
    mixed = weighted_sum({"w": np.ones(3, dtype)}, {1: {"w": np.zeros(3, dtype)}}, {1: 0.5})
    assert mixed["w"].dtype == dtype
    assert mixed["w"].tolist() == [0.5] * 3


@given(
    arrays(np.float32, 5, elements=st.floats(-1e3, 1e3, width=32)),
    st.lists(st.floats(0, 0.2), min_size=1, max_size=5),
    st.floats(0.01, 1),
)
@settings(max_examples=50, deadline=None)
def test_equal_models_stay_equal_to_the_last_bit(values, weights, gamma) -> None:
    received = {j: {"w": values.copy()} for j in range(len(weights))}
    mixed = weighted_sum({"w": values}, received, dict(enumerate(weights)), gamma)
    assert np.array_equal(mixed["w"], values)


def test_sums_do_not_depend_on_the_order_of_arrival() -> None:
    rng = np.random.default_rng(0)
    received = {j: {"w": rng.normal(size=100).astype(np.float32)} for j in range(9)}
    row = dict.fromkeys(received, 0.1)
    backwards = dict(reversed(list(received.items())))
    own = {"w": np.zeros(100, np.float32)}
    a, b = weighted_sum(own, received, row), weighted_sum(own, backwards, row)
    assert np.array_equal(a["w"], b["w"])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_large_arrays_are_mixed_as_small_ones_are(dtype: type) -> None:
    """Block by block, to the last bit what one expression on whole arrays gives."""
    rng = np.random.default_rng(0)
    shape = (3, named_arrays._BLOCK // 2 + 1)  # two blocks, of which one is not full
    own, a, b = (np.asfortranarray(rng.normal(size=shape).astype(dtype)) for _ in range(3))
    mixed = weighted_sum({"w": own}, {7: {"w": a}, 3: {"w": b}}, {7: 0.25, 3: 0.5}, 0.5)["w"]
    wide = np.result_type(dtype, np.float32).type
    base = own.astype(wide)
    expected = base + (b - base) * wide(0.25) + (a - base) * wide(0.125)
    assert mixed.dtype == dtype
    assert np.array_equal(mixed, expected.astype(dtype))


class Borrowed(Mapping):
    """A model that makes an array when it is asked for, and notes how many are in use at a time."""

    in_use: ClassVar[list[int]] = []
    most = 0

    def __init__(self, value: float) -> None:
        self._value = value

    def __getitem__(self, name: str) -> np.ndarray:
        array = np.full(4, self._value)
        self.in_use.append(1)
        weakref.finalize(array, self.in_use.pop)
        Borrowed.most = max(Borrowed.most, len(self.in_use))
        return array

    def __iter__(self):
        return iter(["a", "b", "c"])

    def __len__(self) -> int:
        return 3


def test_one_array_of_one_neighbor_is_looked_at_at_a_time(monkeypatch) -> None:
    own = dict(Borrowed(0.0))
    monkeypatch.setattr(Borrowed, "in_use", [])
    monkeypatch.setattr(averaging, "check_layout", lambda *_: None)  # which needs no numbers
    Borrowed.most = 0
    received = {j: Borrowed(float(j)) for j in (1, 2, 3)}
    mixed = weighted_sum(own, received, dict.fromkeys(received, 0.25))
    assert mixed["c"].tolist() == [1.5] * 4
    assert Borrowed.most <= 2  # the next is there before the one before it goes


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"w": np.zeros(3, np.float32)}, "float32[3] at device 8 but float32[2]"),
        ({"w": np.zeros(2, np.float64)}, "float64[2] at device 8"),
        ({"v": np.zeros(2, np.float32)}, "'v' is float32[2] at device 8 but missing here"),
    ],
)
def test_other_layouts_are_refused(other, words) -> None:
    with pytest.raises(LayoutError) as caught:
        weighted_sum(model(1, 2), {8: other}, {8: 0.5})
    assert words in str(caught.value)


def test_complex_arrays_are_mixed_as_their_two_parts_are() -> None:
    array = np.array([3 + 4j, 1j], np.complex64)
    assert named_arrays.is_mixed(array)
    assert named_arrays.square_norm(array) == pytest.approx(26)
    mean = named_arrays.mean_model([{"w": array}, {"w": np.zeros(2, np.complex64)}])
    assert mean["w"].dtype == np.complex64
    assert mean["w"] == pytest.approx(array / 2)
    assert named_arrays.consensus_distance([{"w": array}, {"w": -array}]) == pytest.approx(26**0.5)
    mixed = weighted_sum({"w": array}, {1: {"w": 3 * array}}, {1: 0.25}, 0.5)
    assert mixed["w"] == pytest.approx(1.25 * array)
