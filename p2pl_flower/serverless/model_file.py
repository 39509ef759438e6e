"""The trained model as a file: the app's own array names, shapes and dtypes, and nothing else.

``model.load_state_dict(safetensors.torch.load_file("model.safetensors"))`` loads it in PyTorch.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError
from ..named_arrays import Model
from ..relay.tensors import pieces
from ..system.files import replacing

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
            for piece in pieces(model):
                file.write(piece)
    except OSError as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: OSError) -> ConfigError:
    return ConfigError("model", str(path), f"cannot be written: {error.strerror}")
