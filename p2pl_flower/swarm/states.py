"""What the optimizers of all devices keep from round to round."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError

State = Mapping[str, Any]
"""A parameter's entry in an optimizer's state, as PyTorch names its parts."""

_BETWEEN = "/"
_KNOWN = "devices that have trained"


class OptimizerStates:
    """Momenta, step counts and the like, with the devices as leading axis.

    Parameters
    ----------
    devices : int
        K.

    Attributes
    ----------
    tensors : dict[str, Tensor]
        By parameter and part (``0.weight/exp_avg``), each of shape (K, ...).
    known : NDArray[bool], shape (K,)
        Which devices have trained already.
    """

    def __init__(self, devices: int) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.known: NDArray[np.bool_] = np.zeros(devices, dtype=np.bool_)
        self._lock = threading.Lock()

    def of(self, device: int) -> dict[str, dict[str, Tensor]]:
        """Return what a device has kept, for each parameter; nothing before it has trained."""
        found: dict[str, dict[str, Tensor]] = {}
        if self.known[device]:
            for key, tensor in self.tensors.items():
                name, _, part = key.rpartition(_BETWEEN)
                found.setdefault(name, {})[part] = tensor[device]
        return found

    def keep(self, rows: NDArray[np.int64], name: str, state: State, stacked: bool) -> None:
        """Keep a parameter's state of some devices.

        Parameters
        ----------
        rows : NDArray[int64], shape (G,)
            Which devices.
        name : str
            The parameter.
        state : Mapping[str, Any]
            Its state.
        stacked : bool
            Whether what is like the parameter has the devices as leading axis; what is a
            scalar is the same for all of them.

        Raises
        ------
        ConfigError
            A part is neither a tensor nor a number.
        """
        for part, value in state.items():
            if value is None:
                continue
            if not isinstance(value, Tensor | float | int):
                rule = f"the optimizer keeps {part!r}, a {type(value).__name__}; only tensors and "
                rule += "numbers can be kept from round to round: use reset_optimizer=True"
                raise ConfigError("reset-optimizer", False, rule)
            tensor = torch.as_tensor(value).detach()
            shared = not stacked or not tensor.dim()
            shape = tensor.shape if shared else tensor.shape[1:]
            whole = self._whole(f"{name}{_BETWEEN}{part}", tuple(shape), tensor)
            whole[torch.from_numpy(rows)] = tensor.to(whole.device)

    def seen(self, rows: NDArray[np.int64]) -> None:
        """Note that devices have trained."""
        self.known[rows] = True

    def to_tensors(self) -> dict[str, Tensor]:
        """Return all that is kept, for a checkpoint."""
        return {**self.tensors, _KNOWN: torch.from_numpy(self.known)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `to_tensors` returned."""
        self.tensors = {name: tensor for name, tensor in tensors.items() if name != _KNOWN}
        self.known = np.array(tensors[_KNOWN].cpu().numpy(), dtype=np.bool_)

    def _whole(self, key: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        with self._lock:
            if key not in self.tensors:
                self.tensors[key] = like.new_zeros((len(self.known), *shape))
            return self.tensors[key]
