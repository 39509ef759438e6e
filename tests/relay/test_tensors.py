"""Models as safetensors documents: readable by the library, and checked when they arrive."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from documents import pack
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from p2pl_flower.errors import RelayError
from p2pl_flower.relay.tensors import document, metadata_of, not_finite, pieces, unpack

MODEL = {
    "z": np.arange(6, dtype=np.float32).reshape(2, 3),
    "flag": np.array(True),
    "half": np.ones(3, np.float16),
    "a": np.arange(4.0).reshape(2, 2).T,
    "none": np.zeros((0, 5), np.int64),
}


def crafted(header: object, data: bytes = b"") -> np.ndarray:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return np.frombuffer(len(text).to_bytes(8, "little") + text + data, np.uint8)


def test_there_and_back_in_the_models_order() -> None:
    packed = pack(MODEL, {"k": "v"})
    back = unpack(packed)
    assert list(back) == list(MODEL)
    assert metadata_of(packed) == {"k": "v"}
    for name, array in MODEL.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)
        assert back[name].flags.aligned
        assert not back[name].flags.writeable
        assert np.shares_memory(back[name], packed) or not array.size


def test_the_library_reads_what_we_write_and_we_what_it_writes() -> None:
    theirs = load(pack(MODEL).tobytes())
    ours = unpack(np.frombuffer(save({k: np.array(v, order="C") for k, v in MODEL.items()}), "u1"))
    for name, array in MODEL.items():
        assert np.array_equal(theirs[name], array)
        assert np.array_equal(ours[name], array)


def test_the_pieces_of_a_document_are_its_header_and_its_arrays() -> None:
    packed = pack(MODEL).tobytes()
    found = [piece.tobytes() for piece in pieces(MODEL)]
    assert b"".join(found) == packed
    assert len(packed) == document(MODEL)[0]
    assert found[0][8:].lstrip().startswith(b"{")
    assert found[1] == MODEL["a"].tobytes()  # the largest items first
    assert len(found) == 1 + len(MODEL)


def test_what_safetensors_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(RelayError, match=r"array 'c' of dtype c(longdouble|omplex256)"):
        pack({"c": np.zeros(1, np.clongdouble)})


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_arrays_there_and_back(dtype: type) -> None:
    sent = {"s": np.array([[1 + 2j, 3]], dtype), "w": np.ones(1), "one": np.array(1j, dtype)}
    for name, array in unpack(pack(sent)).items():
        assert array.dtype == sent[name].dtype
        assert np.array_equal(array, sent[name])


F8 = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("buffer", "complaint"),
    [
        (np.zeros(3, np.uint8), "3 bytes"),
        (np.full(16, 255, np.uint8), "a header of"),
        (crafted(b"{nonsense"), "no safetensors document"),
        (crafted([1]), "header is no object"),
        (crafted({"w": 3}, bytes(8)), "cannot be read: 3"),
        (crafted({"w": {**F8, "dtype": "BF99"}}, bytes(8)), "cannot be read"),
        (crafted({"w": {**F8, "shape": [2]}}, bytes(8)), "does not fit its shape"),
        (crafted({"w": {**F8, "shape": [-1]}}, bytes(8)), "does not fit its shape"),
        (crafted({"w": {**F8, "data_offsets": [8, 16]}}, bytes(16)), "from byte 8, where 0"),
        (crafted({"w": F8, "v": F8}, bytes(8)), "from byte 0, where 8"),
        (crafted({"w": F8}, bytes(16)), "has 16 bytes of data, but its header says 8"),
        (crafted({"w": F8}, bytes(4)), "has 4 bytes of data"),
        (crafted(b"[" * 100_000), "no safetensors document"),
    ],
)
def test_a_malformed_document_is_refused_with_the_reason(buffer, complaint) -> None:
    with pytest.raises(RelayError, match=complaint):
        unpack(buffer)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_flipped_byte_is_refused_or_read_but_never_crashes(place, value) -> None:
    damaged = pack(MODEL).copy()
    damaged[place % damaged.size] = value
    with contextlib.suppress(RelayError):
        unpack(damaged)


def test_the_first_array_that_is_not_finite_is_named() -> None:
    assert not_finite(MODEL) is None
    late = np.zeros(3_000_000, np.float32)
    late[-1] = np.inf
    assert not_finite({"n": np.array(3), "late": late}) == "late"
    assert not_finite({"w": np.array(np.nan)}) == "w"
