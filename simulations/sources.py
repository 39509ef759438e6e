"""Where data comes from: scikit-learn's digits, and files in torchvision's layout."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2pl_flower.errors import ConfigError

Arrays = tuple[NDArray[Any], ...]


def digits() -> Arrays:
    """Return train x, train y, test x and test y of scikit-learn's digits.

    Every fifth sample of each class is for testing: the same split everywhere.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x, y = bunch.images.astype(np.uint8)[:, None], bunch.target.astype(np.int64)
    test = np.sort(np.concatenate([np.flatnonzero(y == c)[4::5] for c in np.unique(y)]))
    train = np.setdiff1d(np.arange(len(y)), test)
    return x[train], y[train], x[test], y[test]


@dataclass(frozen=True)
class Torchvision:
    """A dataset that torchvision can download, unpack and read.

    Parameters
    ----------
    kind : str
        Name of the class in ``torchvision.datasets``.
    packed, unpacked : tuple[str, ...]
        The files as they are downloaded, and as they are read, in the data folder.
    """

    kind: str
    packed: tuple[str, ...]
    unpacked: tuple[str, ...]

    @classmethod
    def like_mnist(cls, kind: str) -> Torchvision:
        """Return one that has MNIST's four files."""
        parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
        files = tuple(f"{kind}/raw/{part}-ubyte" for part in parts)
        return cls(kind, tuple(f"{file}.gz" for file in files), files)

    @classmethod
    def cifar10(cls) -> Torchvision:
        """Return CIFAR-10."""
        batches = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
        files = tuple(f"cifar-10-batches-py/{batch}" for batch in batches)
        return cls("CIFAR10", ("cifar-10-python.tar.gz",), files)

    def missing(self, folder: Path) -> str | None:
        """Return the first packed file that the folder lacks."""
        return next((file for file in self.packed if not (folder / file).is_file()), None)

    def readable(self, folder: Path) -> bool:
        """Tell whether the folder holds the unpacked files."""
        return all((folder / file).is_file() for file in self.unpacked)

    def unpack(self, source: Path | None, beside: Path) -> Arrays:
        """Unpack the files of ``source``, or download them, in a folder within ``beside``.

        Raises
        ------
        ConfigError
            A corrupt file, or no way to download.
        """
        with tempfile.TemporaryDirectory(dir=beside) as scratch:
            folder = Path(scratch)
            if source:
                self._copy(source, folder)
            try:
                self._open(folder, download=True)  # fetches only what is not there
            except (OSError, RuntimeError) as error:
                rule = f"could not get {self.kind} ({line(error)}); set data-dir or P2PL_DATA to a "
                rule += "folder with it in torchvision's layout, or use dataset digits"
                raise ConfigError("data-dir", str(source or ""), rule) from error
            return self.read(folder)

    def read(self, folder: Path) -> Arrays:
        """Return train x, train y, test x and test y from unpacked files.

        Raises
        ------
        ConfigError
            A corrupt file.
        """
        try:
            return (*self._half(folder, train=True), *self._half(folder, train=False))
        except (OSError, RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
            rule = f"{self.kind} in it is corrupt ({line(error)}); get it again"
            raise ConfigError("data-dir", str(folder), rule) from error

    def _half(self, folder: Path, train: bool) -> Arrays:
        content = self._open(folder, train=train)
        x, y = np.asarray(content.data, np.uint8), np.asarray(content.targets, np.int64)
        if len(x) != len(y):
            raise ValueError(f"{len(x)} images, but {len(y)} labels")
        return x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2), y

    def _open(self, folder: Path, **options: bool) -> Any:
        with warnings.catch_warnings():  # CIFAR-10's old pickles displease newer NumPy
            warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
            return self._class()(folder, **options)

    def _copy(self, source: Path, folder: Path) -> None:
        """Copy the packed files and check them: for a wrong one torchvision would go online."""
        from torchvision.datasets.utils import check_integrity

        kind = self._class()
        md5 = dict(kind.resources) if hasattr(kind, "resources") else {kind.filename: kind.tgz_md5}
        for file in self.packed:
            copy = folder / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, copy)
            if not check_integrity(copy, md5[copy.name]):
                rule = f"{file} is corrupt (wrong MD5 sum); get it again"
                raise ConfigError("data-dir", str(source), rule)

    def _class(self) -> Any:
        import torchvision.datasets

        return getattr(torchvision.datasets, self.kind)


def line(error: Exception) -> str:
    """Return an error's message as one line of 200 characters at most."""
    return " ".join(str(error).split())[:200] or type(error).__name__
