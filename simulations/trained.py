"""The trained models of a comparison, in files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def path_of(folder: Path, contender: str) -> Path:
    """Return the file of a contender's model."""
    return folder / f"{re.sub(r'[^A-Za-z0-9._=-]+', '-', contender)}.safetensors"


def save(folder: Path, contender: str, model: Mapping[str, Tensor]) -> None:
    """Write a contender's model under the names of its module's ``state_dict``."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in model.items()}
    save_file(tensors, path_of(folder, contender))
