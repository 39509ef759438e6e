"""Models to begin with that were not drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import ConfigError
from .stack import Stack

StateDict = Mapping[str, Tensor]
Initial = StateDict | Sequence[StateDict] | str | Path

STACKED = "p2pl-flower-devices"
"""StepKey of a file's metadata: how many devices' models it holds, stacked."""


def set_initial(stack: Stack, given: Initial) -> None:
    """Set all devices' models.

    Parameters
    ----------
    stack : Stack
        The models.
    given : mapping, sequence of mappings or path
        A state dict for all devices; one for each; or a file: a state dict in safetensors or as
        ``torch.save`` writes it, or all devices' models as `Result.save` writes them.

    Raises
    ------
    ConfigError
        The file cannot be read, or the models are not those of the module and the devices.
    """
    if isinstance(given, str | Path):
        tensors, stacked = _read(Path(given))
        if stacked is not None and stacked != stack.devices:
            rule = f"holds the models of {stacked} devices, but there are {stack.devices}"
            raise ConfigError("initial", str(given), rule)
        _put(stack, slice(None), tensors, str(given), stacked is not None)
    elif isinstance(given, Mapping):
        _put(stack, slice(None), given, "a state dict")
    else:
        if len(given) != stack.devices:
            rule = f"must be a state dict, or one for each of the {stack.devices} devices"
            raise ConfigError("initial", f"{len(given)} state dicts", rule)
        for device, state in enumerate(given):
            _put(stack, device, state, f"that of device {device}")


def _put(
    stack: Stack, devices: int | slice, state: StateDict, what: str, stacked: bool = False
) -> None:
    """Set models from a state dict, whose tensors may have the devices as leading axis."""
    for name, tensor in stack.tensors.items():
        wanted = tensor.shape if stacked else tensor.shape[1:]
        found = state.get(name)
        if found is None or found.shape != wanted:
            shape = "missing" if found is None else tuple(found.shape)
            rule = f"tensor {name!r} is {shape}, but the model's is {tuple(wanted)}"
            raise ConfigError("initial", what, rule)
    if stacked:
        stack.restore({name: state[name].to(t.device) for name, t in stack.tensors.items()})
    else:
        stack.put(devices, state)


def _read(path: Path) -> tuple[dict[str, Tensor], int | None]:
    """Return a file's tensors, and how many devices they are of, if that is what they are."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata: Mapping[str, Any] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, int(metadata[STACKED]) if STACKED in metadata else None
    except FileNotFoundError:
        raise ConfigError("initial", str(path), "there is no such file") from None
    except SafetensorError:
        pass
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        rule = f"is neither safetensors nor a state dict of torch.save ({type(error).__name__})"
        raise ConfigError("initial", str(path), rule) from error
    if not isinstance(loaded, Mapping) or not all(isinstance(t, Tensor) for t in loaded.values()):
        raise ConfigError("initial", str(path), "holds no state dict: names and tensors")
    return dict(loaded), None
