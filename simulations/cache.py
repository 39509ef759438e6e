"""A folder for arrays that take long to make: datasets that were unpacked, and partitions."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2pl_flower.errors import ConfigError
from p2pl_flower.system.files import filling

_FORMAT = "v1"  # another one whenever arrays of the same name come to mean something else


def folder() -> Path:
    """Return ``p2pl-flower`` in the user's cache folder; it need not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "p2pl-flower", _FORMAT)


def arrays(
    target: Path, make: Callable[[Path], Mapping[str, NDArray[Any]]]
) -> dict[str, NDArray[Any]]:
    """Return named arrays, made once and then read from the folder ``target``.

    They are mapped into memory, so that processes share them; what one of them writes
    there is its own. Several processes may make the same ones at once.

    Parameters
    ----------
    target : Path
        The folder to keep them in. It appears whole or not at all.
    make : Callable[[Path], Mapping[str, NDArray]]
        Returns the arrays. It is given a folder on the same disk for its own files.

    Raises
    ------
    OSError
        The folder cannot be written.
    ConfigError
        A file in it is corrupt.
    """
    if not target.is_dir():
        with filling(target) as draft, tempfile.TemporaryDirectory(dir=draft.parent) as scratch:
            for name, array in make(Path(scratch)).items():
                np.save(draft / f"{name}.npy", np.ascontiguousarray(array))
    try:
        files = sorted(target.glob("*.npy"))
        return {file.stem: np.asarray(np.load(file, mmap_mode="c")) for file in files}
    except (ValueError, EOFError) as error:
        raise ConfigError("cache", str(target), f"is corrupt ({error}); delete it") from error
