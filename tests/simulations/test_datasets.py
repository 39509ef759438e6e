"""Digits, and tiny data sets in torchvision's layout; nothing is downloaded."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from p2pl_flower.errors import ConfigError
from simulations import cache, datasets, sources
from simulations.datasets import FACTS, load, shape_of

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("P2PL_DATA") or ROOT.parent / "shared" / "data")


@pytest.fixture(autouse=True)
def kept(monkeypatch, tmp_path):
    """A cache of our own, no P2PL_DATA, and no network."""
    folder = tmp_path / "kept"
    monkeypatch.setattr(cache, "folder", lambda: folder)
    monkeypatch.delenv("P2PL_DATA", raising=False)
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    datasets._load.cache_clear()
    yield folder
    datasets._load.cache_clear()


def offline(*_args, **_kwargs):
    raise urllib.error.URLError("no network in tests")


def idx(array: np.ndarray) -> bytes:
    """The format of MNIST's files: 0, 0, 8 for bytes, the rank, the shape, the content."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, monkeypatch, packed: bool) -> None:
    import torchvision.datasets

    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    sums = []
    for part, count in (("train", 5), ("t10k", 3)):
        images = np.arange(count * 784).reshape(count, 28, 28) % 251
        for kind, content in (("images-idx3", images), ("labels-idx1", np.arange(count))):
            name = f"{part}-{kind}-ubyte"
            data = idx(content)
            if packed:
                name, data = f"{name}.gz", gzip.compress(data, mtime=0)
                sums.append((name, hashlib.md5(data).hexdigest()))
            (raw / name).write_bytes(data)
    if packed:
        monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)


def check_tiny(data: datasets.Dataset) -> None:
    assert data.train_x.shape == (5, 1, 28, 28)
    assert data.train_x.dtype == np.uint8
    assert data.train_x[0, 0, 1, 2] == 30
    assert data.test_y.tolist() == [0, 1, 2]
    assert data.test_y.dtype == np.int64


def test_digits():
    data = load("digits")
    assert (data.name, data.classes, data.shape) == ("digits", 10, (1, 8, 8))
    assert len(data.train_y) + len(data.test_y) == 1797
    assert data.train_x.dtype == np.uint8
    assert data.train_x.max() == 16
    train, test = np.bincount(data.train_y), np.bincount(data.test_y)
    np.testing.assert_array_equal(test, (train + test) // 5)
    np.testing.assert_array_equal(data.test_y[:5], [5, 0, 9, 8, 7])


def test_digits_split_loses_and_repeats_nothing():
    from sklearn.datasets import load_digits

    data = load("digits")
    ours = np.concatenate([data.train_x, data.test_x]).reshape(-1, 64)
    theirs = load_digits().data.astype(np.uint8)
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_pixels_are_standardized():
    data = load("digits")
    pixels = data.pixels(data.train_x)
    assert pixels.dtype == np.float32
    assert pixels.shape == data.train_x.shape
    assert pixels.mean() == pytest.approx(0, abs=0.01)
    assert pixels.std() == pytest.approx(1, abs=0.01)


def test_pixels_of_each_channel_by_hand():
    x = np.full((2, 2, 1, 1), 51, np.uint8)
    data = datasets.Dataset("two", 2, x, x, x, x, 255.0, (0.0, 0.1), (0.5, 0.2))
    np.testing.assert_allclose(data.pixels(x)[1, :, 0, 0], [0.4, 0.5], rtol=1e-6)


def test_a_process_reads_a_dataset_once(monkeypatch):
    assert load("digits") is load("digits", "ignored for digits")
    monkeypatch.setattr(sources, "digits", None)
    datasets._load.cache_clear()
    assert len(load("digits").train_y) == 1442


def test_digits_need_no_cache(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "file" / "cache")
    assert len(load("digits").train_y) == 1442


def test_the_kept_copy_is_read_without_slow_imports(kept):
    load("digits")
    code = (
        "import sys; from pathlib import Path; from simulations import cache, datasets\n"
        f"cache.folder = lambda: Path({str(kept)!r})\n"
        "assert len(datasets.load('digits').test_y) == 355\n"
        "sys.exit(bool({'sklearn', 'torch', 'torchvision'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_unknown_name():
    with pytest.raises(ConfigError, match=r"dataset='mnits'.*choose one of: cifar10, digits, fash"):
        load("mnits")


@pytest.mark.parametrize("how", ["argument", "environment"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_folder_in_torchvisions_layout(monkeypatch, tmp_path, kept, packed, how):
    source = tmp_path / "source"
    write_mnist(source, monkeypatch, packed)
    before = sorted(source.rglob("*"))
    if how == "environment":
        monkeypatch.setenv("P2PL_DATA", str(source))
    check_tiny(load("mnist", str(source) if how == "argument" else ""))
    assert sorted(source.rglob("*")) == before
    assert kept.exists() == packed
    if packed:
        assert sorted(p.name for p in kept.rglob("*")) == sorted(
            ["mnist", *(f"{part}.npy" for part in ("train_x", "train_y", "test_x", "test_y"))]
        )


def test_cifar10(monkeypatch, tmp_path):
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    sums = {}
    for batch in range(7):
        name = "batches.meta" if batch == 6 else f"data_batch_{batch + 1}"
        name = "test_batch" if batch == 5 else name
        pixels = np.zeros((2, 3072), np.uint8)
        pixels[:, 1024] = batch  # the first of channel 1
        content = {"data": pixels, "labels": [batch, 9], "old": OldType(), "label_names": []}
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    packed = tmp_path / "source" / "cifar-10-python.tar.gz"
    packed.parent.mkdir()
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder, folder.name)
    trained = [[name, md5] for name, md5 in sums.items() if name.startswith("data")]
    monkeypatch.setattr(CIFAR10, "train_list", trained)
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums["batches.meta"]})
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(packed.read_bytes()).hexdigest())
    data = load("cifar10", str(packed.parent))
    assert data.train_x.shape == (10, 3, 32, 32)
    assert data.train_y.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert data.test_x[0, :, 0, 0].tolist() == [0, 5, 0]
    assert data.train_x.flags.c_contiguous


class OldType:
    """Pickled as some versions of NumPy complain about when they read it."""

    def __reduce__(self):
        return np.dtype, ("u1", 0)


def check_refused(pattern: str, data_dir: str) -> None:
    with pytest.raises(ConfigError, match=pattern) as caught:
        load("mnist", data_dir)
    assert caught.value.argument == "data-dir"
    assert "\n" not in str(caught.value)


def test_a_folder_without_the_data(tmp_path):
    check_refused("holds no MNIST/raw/train-images.*P2PL_DATA", str(tmp_path))


def test_a_corrupt_packed_file(monkeypatch, tmp_path, kept):
    write_mnist(tmp_path, monkeypatch, packed=True)
    file = tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-3])
    check_refused("t10k-labels-idx1-ubyte.gz is corrupt .*get it again", str(tmp_path))
    assert not list(kept.iterdir())


@pytest.mark.parametrize("length", [0, 6, 100])
def test_a_corrupt_unpacked_file(monkeypatch, tmp_path, length):
    write_mnist(tmp_path, monkeypatch, packed=False)
    file = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:length])
    check_refused("MNIST in it is corrupt", str(tmp_path))


def test_images_without_labels(monkeypatch, tmp_path):
    write_mnist(tmp_path, monkeypatch, packed=False)
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").write_bytes(idx(np.arange(2)))
    check_refused("3 images, but 2 labels", str(tmp_path))


def test_no_network(kept):
    check_refused("could not get MNIST .*no network in tests.*P2PL_DATA.*digits", "")
    assert not list(kept.iterdir())


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    write_mnist(tmp_path / "source", monkeypatch, packed=True)
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "file" / "cache")
    check_refused("mnist cannot be kept in .*XDG_CACHE_HOME", str(tmp_path / "source"))


@pytest.mark.skipif(
    not (REAL / "MNIST" / "raw").is_dir(), reason="MNIST's files are not there: set P2PL_DATA"
)
def test_real_mnist():
    data = load("mnist", str(REAL))
    assert data.train_x.shape == (60_000, 1, 28, 28)
    assert data.test_x.shape == (10_000, 1, 28, 28)
    assert np.bincount(data.train_y)[:3].tolist() == [5923, 6742, 5958]
    pixels = data.pixels(data.train_x[:10_000])
    assert pixels.mean() == pytest.approx(0, abs=0.02)
    assert pixels.std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_facts_fit_each_other(facts):
    assert len(facts.mean) == len(facts.std) == facts.shape[0]


def test_arrays_of_ones_own() -> None:
    data = load("own_things.squares:side=2")
    assert (data.shape, data.classes, len(data.train_y), len(data.test_y)) == ((1, 2, 2), 2, 30, 10)
    pixels = data.pixels(data.train_x)
    assert pixels.mean() == pytest.approx(0, abs=1e-6)
    assert pixels.std() == pytest.approx(1, abs=1e-6)
    assert load("own_things.squares:side=2") is data
    assert shape_of("own_things.squares") == (1, 4, 4)
    assert shape_of("mnist") == (1, 28, 28)  # which need not be there


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("own_things.ragged", "labels must be integers from 0, one for each image"),
        ("own_things.few", "not enough values to unpack"),
        ("own_things.listed", "needs n"),
        ("own_things.Fixed", "must be an instance of Facts or tuple, a function that makes one"),
    ],
)
def test_arrays_that_are_no_dataset(name, why) -> None:
    with pytest.raises(ConfigError) as caught:
        load(name)
    assert why in str(caught.value)
    assert str(caught.value).startswith(f"dataset='{name}': ")
