"""Codecs against values worked out by hand, and NumPy's against PyTorch's to the last bit."""

from __future__ import annotations

import math

import hypothesis.extra.numpy as some
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pl_flower.algorithms.codecs import (
    CODECS,
    BFloat16,
    Codec,
    Float16,
    Int8,
    LowBit,
    Partial,
    RandomK,
    StepKey,
    TopK,
    layout_of,
    size_of,
)
from p2pl_flower.config import text_of
from p2pl_flower.errors import ConfigError, LayoutError
from p2pl_flower.options import Options

KEY = StepKey(3, 2, 1)
TEXTS = [
    "none",
    "float16",
    "bfloat16",
    "int8:block=4",
    "low-bit:block=5",
    "low-bit:bits=1",
    "low-bit:bits=4,block=4",
    "top-k:fraction=0.3",
    "random-k:fraction=0.4",
    "partial",
    "partial:parts=9,order=random",
    "top-k:fraction=0.3+int8:block=2",
    "random-k:fraction=0.5+top-k:fraction=0.5+float16",
    "partial+bfloat16",
]


def through(
    codec: Codec, *numbers: float, dtype: str = "float32", key: StepKey = KEY
) -> list[float]:
    message = {"w": np.array(numbers, dtype)}
    encoded = codec.encode(message, key)
    assert layout_of(encoded) == codec.encoded_layout(layout_of(message), key)
    decoded = codec.decode(encoded, layout_of(message), key)
    assert layout_of(decoded) == layout_of(message)
    return decoded["w"].tolist()


def test_float16_keeps_eleven_bits_and_ends_at_its_largest_number() -> None:
    assert through(Float16(), 1.0, 2049.0, 2051.0, -1e9, 1e-9) == [1, 2048, 2052, -65504, 0]
    assert through(Float16(), math.inf, -math.inf)[:2] == [math.inf, -math.inf]
    assert math.isnan(through(Float16(), math.nan)[0])


def test_bfloat16_keeps_eight_bits_and_ties_go_to_even() -> None:
    assert through(BFloat16(), 256.0, 257.0, 259.0, 2.0**99) == [256, 256, 260, 2.0**99]
    bits = BFloat16().encode({"w": np.array([1.0, -2.0], "float32")}, KEY)["upper/w"]
    assert bits.tolist() == [0x3F80, 0xC000]
    assert math.isnan(through(BFloat16(), math.nan)[0])
    negative = np.array([0xFFFFFFFF], np.uint32).view(np.float32)  # all bits set: adding overflows
    assert math.isnan(through(BFloat16(), *negative)[0])


def test_int8_has_a_scale_for_each_block() -> None:
    encoded = Int8(block=2).encode({"w": np.array([127, -63.5, 0, 0, 2.54], "float32")}, KEY)
    assert encoded["codes/w"].tolist() == [127, -64, 0, 0, 127]
    np.testing.assert_allclose(encoded["scales/w"], [1, 0, 0.02], rtol=1e-6)
    assert encoded["codes/w"].dtype == np.int8
    assert through(Int8(block=2), 127, -63.5, 0, 0) == [127, -64, 0, 0]  # ties go to even


def test_a_number_that_is_none_spoils_its_block_alone() -> None:
    for bad in (math.nan, math.inf, -math.inf):
        found = through(Int8(block=2), 1.0, bad, 127.0, 1.0)
        assert np.isnan(found[:2]).all()
        assert found[2:] == [127, 1]


def test_int8_is_off_by_half_a_scale_at_most() -> None:
    values = np.random.default_rng(0).normal(size=1000).astype("float32")
    found = np.array(through(Int8(block=100), *values))
    scales = np.abs(values.reshape(10, 100)).max(1, keepdims=True) / 127
    assert (np.abs(found - values).reshape(10, 100) <= scales / 2 * (1 + 1e-4)).all()


def test_low_bit_has_the_best_scale_for_its_levels() -> None:
    assert through(LowBit(bits=1, block=3), 3.0, -1.0, 0.5, 7.0) == [1.5, -1.5, 1.5, 7]
    levels, values = np.array([3, 1, -3, -1]), np.array([5.0, 1.5, -4.0, -0.2])
    scale = (values * levels).sum() / 20
    np.testing.assert_allclose(through(LowBit(bits=2), *values), scale * levels, rtol=1e-6)
    encoded = LowBit(bits=2).encode({"w": np.array([5.0, 1.5, -4.0, -0.2, 5.0])}, KEY)
    assert encoded["levels/w"].tolist() == [3 + (2 << 2) + (0 << 4) + (1 << 6), 3]


@pytest.mark.parametrize(("bits", "kept"), [(1, 0.637), (2, 0.881), (4, 0.988)])
def test_low_bit_loses_little_of_normal_numbers_and_never_all(bits: int, kept: float) -> None:
    def lost(values: np.ndarray) -> float:
        found = np.array(through(LowBit(bits), *values, dtype="float64"))
        return float(((found - values) ** 2).sum() / (values**2).sum())

    assert 1 - lost(np.random.default_rng(0).normal(size=1 << 16)) == pytest.approx(kept, abs=0.01)
    assert lost(np.array([1.0, *np.zeros(255)])) < 1
    assert lost(np.array([1e6, *np.full(255, -1e-3)])) < 1


def test_top_k_sends_the_largest_and_of_equal_ones_the_first() -> None:
    assert through(TopK(0.4), 1, -3, 2, -2, 0) == [0, -3, 2, 0, 0]
    assert through(TopK(0.4), 5, 5, 5, 5, 5) == [5, 5, 0, 0, 0]
    assert through(TopK(0.01), 1, 2) == [0, 2]  # one at least
    assert through(TopK(1.0), 1, -2) == [1, -2]
    encoded = TopK(0.4).encode({"w": np.array([1, -3, 2, -2, 0.0], "float32")}, KEY)
    assert encoded["positions/w"].tolist() == [1, 2]
    assert encoded["values/w"].tolist() == [-3, 2]


def test_top_k_sends_what_is_no_number_first() -> None:
    found = through(TopK(0.5), 1, math.nan, -math.inf, 2)
    assert found[0] == found[3] == 0
    assert math.isnan(found[1])
    assert found[2] == -math.inf


@pytest.mark.parametrize(
    ("size", "kind"), [(256, "uint8"), (257, "uint16"), (65536, "uint16"), (65537, "uint32")]
)
def test_positions_take_no_more_bytes_than_they_need(size: int, kind: str) -> None:
    encoded = TopK(0.5).encode({"w": np.arange(size, dtype="float32")}, KEY)
    assert encoded["positions/w"].dtype == kind
    assert encoded["positions/w"][-1] == size - 1


def test_random_k_draws_alike_on_all_devices_and_anew_in_each_step() -> None:
    codec, one, other = RandomK(0.2), np.arange(1, 101.0), -np.arange(1, 101.0)
    sent = np.array(through(codec, *one))
    assert (sent != 0).sum() == 20
    np.testing.assert_array_equal(sent != 0, np.array(through(codec, *other)) != 0)
    for key in (StepKey(3, 2, 0), StepKey(3, 1, 1), StepKey(4, 2, 1)):
        assert (np.array(through(codec, *one, key=key)) != sent).any()
    encoded = codec.encode({"w": one, "v": one}, KEY)
    assert list(encoded) == ["values/w", "values/v"]  # no position is sent
    assert (encoded["values/w"] != encoded["values/v"]).any()


def test_partial_sends_every_array_once_in_a_cycle() -> None:
    message = {name: np.ones(n) for name, n in {"a": 10, "b": 3, "c": 4, "d": 2}.items()}
    codec = Partial(parts=2)
    turns = [set(codec.encode(message, StepKey(0, number, 0))) for number in (1, 2, 3)]
    assert turns == [{"array/a"}, {"array/b", "array/c", "array/d"}, {"array/a"}]
    decoded = codec.decode(
        codec.encode(message, StepKey(0, 1, 0)), layout_of(message), StepKey(0, 1, 0)
    )
    assert {name: array.sum() for name, array in decoded.items()} == {
        "a": 10,
        "b": 0,
        "c": 0,
        "d": 0,
    }
    assert Partial(parts=9).encode(message, StepKey(0, 4, 0)).keys() == {
        "array/d"
    }  # 4 parts at most


def test_partial_at_random_takes_every_part_in_time() -> None:
    codec, message = Partial(3, "random"), {name: np.ones(2) for name in "abc"}
    seen = [next(iter(codec.encode(message, StepKey(1, number, 0)))) for number in range(1, 40)]
    assert {*seen} == {"array/a", "array/b", "array/c"}
    assert seen[0] == next(iter(codec.encode(message, StepKey(1, 1, 1))))  # one part in a round


def test_bytes_of_a_chain() -> None:
    message = {"w": np.ones((300, 100), "float32"), "b": np.ones(100, "float32")}
    encoded = CODECS.make("top-k:fraction=0.1+int8:block=100").encode(message, KEY)
    positions, codes, scales = 3000 * 2 + 10, 3000 + 10, 4 * (30 + 1)
    assert size_of(layout_of(encoded)) == positions + codes + scales


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_a_codec_makes_an_equal_one(text: str) -> None:
    codec = CODECS.make(text)
    assert CODECS.make(text_of(codec, CODECS)) == codec


@pytest.mark.parametrize(
    "text", ["int8:block=0", "top-k:fraction=0", "random-k:fraction=1.5", "partial:order=x", "zip"]
)
def test_what_is_no_codec_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="codec="):
        CODECS.make(text)


@pytest.mark.parametrize("second", ["int8", "top-k", "partial", "none"])
def test_a_codec_that_is_left_nothing_is_refused(second: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"codec='bfloat16\+{second}.*': '{second}.*name it first"
    ):
        Options(codec=f"bfloat16+{second}")
    assert Options(codec="top-k:fraction=0.5+int8").codec == CODECS.make("top-k:fraction=0.5+int8")


def test_complex_numbers_are_refused_in_one_sentence() -> None:
    with pytest.raises(LayoutError, match=r"'w'.*codec='none'"):
        Int8().encode({"w": np.ones(2, "complex64")}, KEY)


SHAPES = [(), (0,), (1,), (3, 0), (2, 3, 5), (37,)]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_stacks_of_both_libraries_give_each_devices_numbers(text, dtype, data) -> None:
    """Of any numbers, what is no number among them; so ties are broken alike."""
    codec, devices = CODECS.make(text), 3
    numbers = st.sampled_from([0.0, 1.0, -1.0, 2.5, 1e-7, 6e4, math.inf, -math.inf, math.nan])
    message = {
        f"a{place}": data.draw(some.arrays(dtype, (devices, *shape), elements=numbers))
        for place, shape in enumerate(SHAPES)
    }
    tensors = {name: torch.from_numpy(array) for name, array in message.items()}
    stacked = codec.rounded(message, KEY, (devices,))
    in_torch = codec.rounded(tensors, KEY, (devices,))
    for device in range(devices):
        one = {name: np.asarray(array[device]) for name, array in message.items()}
        encoded, due = codec.encode(one, KEY), layout_of(one)
        assert layout_of(encoded) == codec.encoded_layout(due, KEY)
        decoded = codec.decode(encoded, due, KEY)
        assert layout_of(decoded) == due
        for name, array in decoded.items():
            np.testing.assert_array_equal(array, stacked[name][device])
            np.testing.assert_array_equal(array, in_torch[name][device].numpy())


@pytest.mark.parametrize("text", TEXTS)
def test_models_in_bfloat16_keep_their_type(text: str) -> None:
    codec = CODECS.make(text)
    message = {"w": torch.arange(24).view(2, 3, 4).bfloat16(), "b": torch.ones(2, 5).bfloat16()}
    found = codec.rounded(message, KEY, (2,))
    assert {name: (t.dtype, t.shape) for name, t in found.items()} == {
        name: (t.dtype, t.shape) for name, t in message.items()
    }
    encoded, due = codec.encode(message, KEY, (2,)), layout_of(message, (2,))
    sizes = {name: t.nbytes // 2 for name, t in encoded.items() if "positions" not in name}
    layouts = codec.encoded_layout(due, KEY)
    assert {n: size_of({n: e}) for n, e in layouts.items() if "positions" not in n} == sizes
