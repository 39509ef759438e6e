"""The data of the experiments, read once and kept as plain arrays in the user's cache folder.

scikit-learn and torchvision take seconds to import. A simulation's many processes map the
kept arrays into memory instead, and share them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2pl_flower.config import Table
from p2pl_flower.errors import ConfigError

from . import cache, sources
from .sources import Arrays, Torchvision

_PARTS = ("train_x", "train_y", "test_x", "test_y")


@dataclass(frozen=True)
class Facts:
    """What is known of a dataset before it is read.

    Attributes
    ----------
    shape : tuple[int, int, int]
        Channels, height and width of an image.
    scale : float
        Value of a white pixel.
    mean, std : tuple[float, ...]
        Of each channel over the training images, after division by ``scale``.
    files : Torchvision or None
        What reads it; None for digits, which scikit-learn brings along.
    classes : int
        Number of labels.
    """

    shape: tuple[int, int, int]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    files: Torchvision | None
    classes: int = 10


def _given(facts: Facts) -> Facts:
    return facts


FACTS: Mapping[str, Facts] = {
    "digits": Facts((1, 8, 8), 16.0, (0.3053,), (0.3761,), None),
    "mnist": Facts((1, 28, 28), 255.0, (0.1307,), (0.3081,), Torchvision.like_mnist("MNIST")),
    "fashion-mnist": Facts(
        (1, 28, 28), 255.0, (0.2860,), (0.3530,), Torchvision.like_mnist("FashionMNIST")
    ),
    "cifar10": Facts(
        (3, 32, 32),
        255.0,
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
        Torchvision.cifar10(),
    ),
}

DATASETS: Table[Facts | tuple[Any, ...]] = Table(
    "dataset",
    {name: functools.partial(_given, facts) for name, facts in FACTS.items()},
    reserved=("data_dir",),
    group="p2pl_flower.datasets",
    base=(Facts, tuple),
)
"""One of the user's own is a function that returns train x, train y, test x and test y."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, shape (samples, channels, height, width), and int64 labels.

    They are bytes, but for a dataset of the user's own, which may have other numbers. All
    callers in a process share the arrays: copy before you change them.
    """

    name: str
    classes: int
    train_x: NDArray[Any]
    train_y: NDArray[np.int64]
    test_x: NDArray[Any]
    test_y: NDArray[np.int64]
    scale: float = 255.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        _, channels, height, width = self.train_x.shape
        return channels, height, width

    def pixels(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Return ``(x / scale - mean) / std``, channel by channel, in x's shape."""
        mean, std = (np.array(v, np.float32).reshape(-1, 1, 1) for v in (self.mean, self.std))
        pixels = x.astype(np.float32)
        pixels *= 1 / (self.scale * std)
        pixels -= mean / std
        return pixels


def load(name: str, data_dir: str = "") -> Dataset:
    """Return the dataset called ``name``, read once in each process.

    Parameters
    ----------
    name : str
        One of `DATASETS`, or the path to a function of the user's own.
    data_dir : str
        A folder in torchvision's layout, packed or unpacked, which is only read; without
        it the environment's ``P2PL_DATA``. Without either, torchvision downloads the
        data once. Not used by digits.

    Raises
    ------
    ConfigError
        Unknown name, a folder without the data, a corrupt file, or no way to download.
    """
    given = data_dir or os.environ.get("P2PL_DATA", "")
    return _load(name, "" if name in FACTS and not FACTS[name].files else given)


def shape_of(name: str, data_dir: str = "") -> tuple[int, int, int]:
    """Return channels, height and width of a dataset's images; nothing of ours is loaded.

    Raises
    ------
    ConfigError
        As `load`, for one of the user's own; or the name is unknown.
    """
    DATASETS.bind(name)
    return FACTS[name].shape if name in FACTS else load(name, data_dir).shape


@functools.cache
def _load(name: str, given: str) -> Dataset:
    facts = DATASETS.make(name, data_dir=given)
    if not isinstance(facts, Facts):
        return _own(name, facts)
    source = Path(given).expanduser() if given else None
    train_x, train_y, test_x, test_y = _arrays(name, facts.files, source)
    norm = facts.scale, facts.mean, facts.std
    return Dataset(name, facts.classes, train_x, train_y, test_x, test_y, *norm)


def _own(name: str, arrays: tuple[Any, ...]) -> Dataset:
    """Return the user's own arrays as a dataset, normalized by its training images."""
    try:
        train_x, train_y, test_x, test_y = map(np.asarray, arrays)
        train_x, test_x = _images(train_x), _images(test_x)
        labels = np.concatenate([train_y, test_y])
        counts = (len(train_x), len(test_x)) == (len(train_y), len(test_y))
        if not counts or labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
            raise ValueError("labels must be integers from 0, one for each image")
    except ValueError as error:
        rule = "must be arrays train x, train y, test x and test y: images of shape (samples, "
        rule += f"channels, height, width) and their labels ({error})"
        raise ConfigError("dataset", name, rule) from None
    scale = 255.0 if train_x.dtype == np.uint8 else 1.0
    mean = train_x.mean(axis=(0, 2, 3)) / scale
    std = np.maximum(train_x.std(axis=(0, 2, 3)) / scale, 1e-6)
    y, classes = (train_y.astype(np.int64), test_y.astype(np.int64)), int(labels.max()) + 1
    norm = scale, tuple(mean.tolist()), tuple(std.tolist())
    return Dataset(name, classes, train_x, y[0], test_x, y[1], *norm)


def _images(x: NDArray[Any]) -> NDArray[Any]:
    """Return images with an axis of channels; rows of numbers are images one pixel high."""
    missing = {4: (), 3: (1,), 2: (1, 2)}.get(x.ndim)
    if missing is None or not len(x) or x.dtype.kind not in "fiu":
        raise ValueError(f"there are images of shape {x.shape} and type {x.dtype}")
    return np.expand_dims(x, missing)


def _arrays(name: str, files: Torchvision | None, source: Path | None) -> Arrays:
    missing = files.missing(source) if files and source else None
    if files and source and missing:
        if files.readable(source):
            return files.read(source)  # not kept: nothing tells whose copy this is
        rule = f"holds no {missing}; put {name} there as torchvision lays it out, or leave "
        rule += "data-dir and P2PL_DATA empty to download it, or use dataset digits"
        raise ConfigError("data-dir", str(source), rule)
    return _kept(name, files, source)


def _kept(name: str, files: Torchvision | None, source: Path | None) -> Arrays:
    def make(beside: Path) -> dict[str, NDArray[Any]]:
        arrays = files.unpack(source, beside) if files else sources.digits()
        return dict(zip(_PARTS, arrays, strict=True))

    try:
        arrays = cache.arrays(cache.folder() / name, make)
    except OSError as error:
        if files is None:
            return sources.digits()  # goes without, only slower
        rule = f"{name} cannot be kept in {cache.folder()} ({sources.line(error)}); let "
        rule += "XDG_CACHE_HOME name a folder that can be written"
        raise ConfigError("data-dir", str(source or ""), rule) from error
    return tuple(arrays[part] for part in _PARTS)
