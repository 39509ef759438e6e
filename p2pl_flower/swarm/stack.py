"""All devices' models as one tensor for each parameter, with the devices as leading axis."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import ConfigError, LayoutError
from ..named_arrays import layout, nbytes
from ..sharing import EVERYTHING, Sharing


class Stack:
    """The models of K devices.

    Parameters
    ----------
    template : nn.Module
        A module of the devices' class; its own values do not matter.
    devices : int
        K.
    torch_device : str
        Where the tensors lie.
    shared : Sharing
        Which tensors are mixed and synchronized; the others stay the device's own.

    Attributes
    ----------
    tensors : dict[str, Tensor]
        Parameters and buffers by name, each of shape (K, ...), as in ``state_dict``. Frozen
        parameters that are not mixed are held once, and shown as K views, as long as all devices
        draw the same ones.
    names : dict[str, str]
        All names of ``state_dict``, and under which of them the tensor is held: tied parameters
        have several.
    trained : tuple[str, ...]
        Names of the parameters that training changes.
    changing : tuple[str, ...]
        Names of these and of the buffers, which it may change too.
    mixed : tuple[str, ...]
        Names of what consensus averages: the floating-point tensors that are shared; tied ones by
        the first of their names, if the last is.
    layout : Layout
        Shapes and dtypes of what one device sends of its model, tied parameters by all names.
    model_bytes : int
        Size of it in bytes.
    drawn_bytes, all_bytes : int
        Size in bytes of what one device sends of a model that it drew, and of a whole one.

    Raises
    ------
    ConfigError
        ``shared`` does not suit the names of the tensors.
    """

    def __init__(
        self,
        template: nn.Module,
        devices: int,
        torch_device: str = "cpu",
        shared: Sharing = EVERYTHING,
    ) -> None:
        state = {name: tensor.detach() for name, tensor in template.state_dict().items()}
        named = dict(template.named_parameters())
        own = {*named, *dict(template.named_buffers())}
        self.devices = devices
        frozen = {name for name, parameter in named.items() if not parameter.requires_grad}
        self.names = {name: _first_name(template, name, own) for name in state}
        arrays = _layouts(state)
        shared.check(arrays)
        part = shared.part(arrays)
        kept = [name for name in state if name in own]  # tied parameters once
        self.trained = tuple(name for name in kept if name in named and name not in frozen)
        self.changing = tuple(name for name in kept if name not in frozen)
        last = {first: name for name, first in self.names.items()}  # which load_state_dict heeds
        self.mixed = tuple(name for name in kept if last[name] in part)
        for name in part:
            if (other := last[self.names[name]]) not in part:
                rule = f"takes {name!r}, which {other!r} replaces when a model is loaded: they are "
                raise ConfigError("shared", shared.spec(), rule + "one tensor; take the last name")
        once = frozen - {*self.mixed}
        self.tensors: dict[str, Tensor] = {
            name: state[name].to(torch_device).expand(devices, *state[name].shape)
            if name in once
            else state[name].new_empty((devices, *state[name].shape), device=torch_device)
            for name in kept
        }
        self.layout, self.model_bytes = layout(part), nbytes(part)
        self.drawn_bytes = nbytes({n: a for n, a in arrays.items() if shared.takes(n)})
        self.all_bytes = nbytes(arrays)

    @property
    def numbers(self) -> int:
        """How many floating-point numbers each device's model has."""
        floats = (t for t in self.tensors.values() if t.is_floating_point())
        return sum(t.numel() for t in floats) // self.devices

    @property
    def nbytes(self) -> int:
        """Size of all models in bytes."""
        return sum(t[:1].nbytes if is_held_once(t) else t.nbytes for t in self.tensors.values())

    @property
    def once_bytes(self) -> int:
        """Size in bytes of what all devices have in common."""
        return sum(t[:1].nbytes for t in self.tensors.values() if is_held_once(t))

    @property
    def mixed_size(self) -> int:
        """How many numbers of a model consensus averages."""
        return sum(self.tensors[name][0].numel() for name in self.mixed)

    def check_types(self) -> None:
        """Refuse to mix what PyTorch stores, but has no sums of.

        Raises
        ------
        LayoutError
            Names the first such tensor.
        """
        for name in self.mixed:
            dtype = self.tensors[name].dtype
            if dtype.itemsize < 2:
                raise LayoutError(
                    f"tensor {name!r} is of {dtype}, of which there are no means: convert it, or "
                    f"let it stay at home by shared=['*', '!{name}']"
                )

    def put(
        self,
        devices: int | slice,
        model: Mapping[str, Tensor],
        names: Collection[str] | None = None,
    ) -> None:
        """Set the model of a device, or of several to the same.

        Parameters
        ----------
        devices : int or slice
            Whose model.
        model : Mapping[str, Tensor]
            All tensors of a model.
        names : collection of str or None
            Which of them are set; None for all.

        Raises
        ------
        LayoutError
            The model has other tensors than the template.
        """
        for name, tensor in self.tensors.items():
            if name not in model or model[name].shape != tensor.shape[1:]:
                found = tuple(model[name].shape) if name in model else "missing"
                raise LayoutError(
                    f"tensor {name!r} is {found} in a device's model but "
                    f"{tuple(tensor.shape[1:])} in the first: the factory must always "
                    "return the same class"
                )
            if names is None or name in names:
                self._set(name, devices, model[name].detach().to(tensor.device))

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set all models to what `tensors` was."""
        for name in self.tensors:
            self._set(name, slice(None), tensors[name])

    def model(self, device: int) -> dict[str, Tensor]:
        """Return one device's model, without a copy; tied parameters once."""
        return {name: tensor[device] for name, tensor in self.tensors.items()}

    def models(self, rows: slice | Tensor) -> dict[str, Tensor]:
        """Return several devices' models; without a copy where ``rows`` is a slice."""
        return {
            name: tensor[0].expand(len(rows), *tensor.shape[1:])
            if is_held_once(tensor) and isinstance(rows, Tensor)
            else tensor[rows]
            for name, tensor in self.tensors.items()
        }

    def _set(self, name: str, devices: int | slice, value: Tensor) -> None:
        """Set a tensor of some devices; what is held once stays so if it is the same."""
        tensor = self.tensors[name]
        if is_held_once(tensor):
            if torch.equal(tensor[devices], value.expand(tensor[devices].shape)):
                return
            tensor = self.tensors[name] = tensor.clone(memory_format=torch.contiguous_format)
        tensor[devices] = value


def is_held_once(tensor: Tensor) -> bool:
    """Tell whether all devices' parts of a tensor are one."""
    return tensor.stride(0) == 0


def rows_of(devices: NDArray[np.int64]) -> slice | Tensor:
    """Return devices as a slice where they are one, for then nothing is copied."""
    first, last = int(devices[0]), int(devices[-1])
    if np.array_equal(devices, np.arange(first, last + 1)):
        return slice(first, last + 1)
    return torch.from_numpy(devices)


def _first_name(template: nn.Module, name: str, own: Collection[str]) -> str:
    """Return the first of the names that a tied parameter has."""
    if name in own:
        return name
    path, _, last = name.rpartition(".")
    tensor = getattr(template.get_submodule(path), last)
    every = (*template.named_parameters(), *template.named_buffers())
    return next(first for first, other in every if other is tensor)


def _layouts(state: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Return arrays of the same shapes and kinds that take no memory."""
    return {
        name: np.broadcast_to(np.zeros((), _numpy_type(tensor.dtype)), tuple(tensor.shape))
        for name, tensor in state.items()
    }


def _numpy_type(dtype: torch.dtype) -> np.dtype[Any]:
    """Return NumPy's type of a tensor's, or one of the same size: it has no bfloat16."""
    if dtype.is_floating_point and dtype.itemsize <= 2:
        return np.dtype(np.float16)
    return torch.zeros((), dtype=dtype).numpy().dtype


def in_parts(tensor: Tensor) -> Tensor:
    """Return complex numbers as their two parts along a last axis, whose norm is theirs."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def as_arrays(model: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Return a model of tensors as NumPy's arrays, which have no type for bfloat16: as float32."""
    return {
        name: (t.float() if t.dtype == torch.bfloat16 else t).detach().cpu().numpy()
        for name, t in model.items()
    }
