"""The trained model as a file: the app's own array names, shapes and dtypes, and nothing else.

``model.load_state_dict(safetensors.torch.load_file("model.safetensors"))`` loads it in PyTorch.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..named_arrays import Model
from ..relay.tensors import pieces
from ..system.files import replacing

log = logging.getLogger("flwr.p2pl")

FILE = "model.safetensors"


def prepare(path: Path) -> None:
    """Make the folder of a model file: what stands in the way is found before training.

    Raises
    ------
    ConfigError
        There can be no such file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(path, error) from None
    if path.is_dir():
        raise ConfigError("model", str(path), "is a folder: name the file to write")


def write(path: Path, model: Model) -> None:
    """Write a model array by array, as a file that appears whole; raises as `prepare` does."""
    prepare(path)
    try:
        with replacing(path, durable=True) as part, part.open("wb") as file:
            for piece in pieces(_readable(model)):
                file.write(piece)
    except OSError as error:
        raise _refused(path, error) from None


def _readable(model: Model) -> dict[str, NDArray[Any]]:
    """Return a model in types that safetensors has: of complex128 the two parts, and a warning."""
    wide = [name for name, array in model.items() if array.dtype == np.complex128]
    if wide:
        rule = (
            "safetensors has no complex128: array(s) %s are written as float64 with a last axis of "
            "2, their real and imaginary parts; torch.view_as_complex puts them together again"
        )
        log.warning(rule, ", ".join(map(repr, wide)))
    return {name: _parts(array) if name in wide else array for name, array in model.items()}


def _parts(array: NDArray[Any]) -> NDArray[np.float64]:
    """Return complex numbers as pairs of real ones, along a new last axis."""
    return np.stack([array.real, array.imag], axis=-1)


def _refused(path: Path, error: OSError) -> ConfigError:
    return ConfigError("model", str(path), f"cannot be written: {error.strerror}")
