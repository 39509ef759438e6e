"""Documents in files: what is written is read again, and memory holds what is in use alone."""

from __future__ import annotations

import errno
import gc
import os
import threading

import numpy as np
import pytest
from documents import pack

from p2pl_flower.errors import RelayError
from p2pl_flower.relay.spool import Document, MappedModel, Spool

MODEL = {
    "z": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.array(2.5),
    "a": np.arange(4.0).reshape(2, 2).T,
    "none": np.zeros((0, 5), np.int64),
}


def test_there_and_back_in_the_models_order(tmp_path) -> None:
    back = Spool(tmp_path).keep_model(MODEL).model()
    assert list(back) == list(MODEL)
    assert len(back) == len(MODEL)
    for name, array in MODEL.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)
        assert back[name].flags.aligned
        assert not back[name].flags.writeable


def test_a_document_is_what_would_have_been_packed(tmp_path) -> None:
    document = Spool(tmp_path).keep_model(MODEL)
    assert document.size == pack(MODEL).size
    chunks = list(document.chunks(7))
    assert b"".join(chunks) == pack(MODEL).tobytes() == document.buffer().tobytes()
    assert {len(chunk) for chunk in chunks[:-1]} == {7}


def test_its_file_has_no_name_and_nothing_is_left(tmp_path) -> None:
    document = Spool(tmp_path / "new" / "folder").keep_model(MODEL)
    assert document.model()["scalar"] == 2.5
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_arrays_looked_at_one_by_one_are_not_in_memory_together(tmp_path) -> None:
    model = Spool(tmp_path).keep_model(MODEL).model()
    assert not is_mapped(model)
    first, second = model["z"], model["a"]
    assert is_mapped(model)
    del first
    assert is_mapped(model)
    assert second.sum() == 6
    del second
    assert not is_mapped(model)


def is_mapped(model: MappedModel) -> bool:
    mapping = model._document._mapping
    return mapping is not None and mapping() is not None


def test_an_array_outlives_its_document(tmp_path) -> None:
    array = Spool(tmp_path).keep_model(MODEL).model()["z"]
    gc.collect()
    assert array.sum() == 15


def test_neighbors_read_side_by_side(tmp_path) -> None:
    document = Spool(tmp_path).keep_model({"w": np.arange(100_000.0)})
    expected, read = document.buffer().tobytes(), list[bytes]()
    readers = [
        threading.Thread(target=lambda: read.append(b"".join(document.chunks(1000))))
        for _ in range(4)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert read == [expected] * 4


def test_a_named_file_is_read_in_place(tmp_path) -> None:
    pack(MODEL).tofile(tmp_path / "model.safetensors")
    assert Document.at(tmp_path / "model.safetensors").model()["scalar"] == 2.5
    (tmp_path / "empty").touch()
    with pytest.raises(RelayError, match="no safetensors document: 0 bytes"):
        Document.at(tmp_path / "empty").model()


def test_a_folder_that_cannot_be_used_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RelayError, match=r"cannot keep a model in .*file: "):
        Spool(tmp_path / "file").keep_model(MODEL)


def test_a_full_disk_is_an_error_and_one_that_reserves_nothing_is_not(
    tmp_path, monkeypatch
) -> None:
    def failing(number: int):
        def reserve(*_: int) -> None:
            raise OSError(number, os.strerror(number))

        return reserve

    monkeypatch.setattr("os.posix_fallocate", failing(errno.ENOSPC))
    with pytest.raises(RelayError, match="No space left on device"):
        Spool(tmp_path).keep_model(MODEL)
    monkeypatch.setattr("os.posix_fallocate", failing(errno.EOPNOTSUPP))
    assert Spool(tmp_path).keep_model(MODEL).model()["scalar"] == 2.5


def test_what_is_not_complete_is_not_kept(tmp_path) -> None:
    def broken():
        yield b"12345678"
        raise RelayError("the rest did not come")

    with pytest.raises(RelayError, match="the rest did not come"):
        Spool(tmp_path).keep(100, broken())
    assert list(tmp_path.iterdir()) == []
