"""Outputs of several devices' convolutional networks, whose convolutions are made as one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .learner import Tensors

TOGETHER = 4
"""Devices whose channels lie beside each other at most: more of them gain nothing more."""

Named = tuple[str, nn.Module]
Step = Callable[[Tensor], Tensor]

_BY_NUMBER = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU)
_BY_CHANNEL = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout2d)


class Grouped:
    """The layers of a ``Sequential`` up to its ``Flatten``, of several devices at once.

    What devices make of an image lies beside each other along the channels: their convolutions are
    one grouped convolution, and the first of them, whose images are the same for all, a plain one
    with more channels. The numbers are the same, with fewer and larger steps. What comes after is
    computed one device after the other.

    Parameters
    ----------
    module : nn.Module
        A module that `suits`, in evaluation when it is used.
    """

    def __init__(self, module: nn.Module) -> None:
        layers = _layers(module)
        cut = _shared_part(layers)
        self._front = _maxima_first(layers[:cut])
        self._names = [path for path, _ in layers[cut:]]
        back = nn.Sequential(*(layer for _, layer in layers[cut:]))
        self._backs = [copy.deepcopy(back).eval() for _ in range(TOGETHER)]

    @staticmethod
    def suits(module: nn.Module) -> bool:
        """Tell whether a module is such a ``Sequential``, nested or not, of two convolutions."""
        hooked = any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())
        if type(module) is not nn.Sequential or hooked or _has_repeated(module):
            return False
        layers = _layers(module)
        front = layers[: _shared_part(layers)]
        return sum(isinstance(layer, nn.Conv2d) for _, layer in front) > 1

    def of(self, model: Tensors, rows: range) -> Callable[[Tensor], list[Tensor]]:
        """Return what makes the outputs of up to `TOGETHER` devices of images, (N, C, H, W)."""
        steps, backs = list(self._steps(model, rows)), self._backs[: len(rows)]
        for back, row in zip(backs, rows, strict=True):
            self._load(back, model, row)

        def outputs(x: Tensor) -> list[Tensor]:
            for step in steps:
                x = step(x)
            return [back(own) for back, own in zip(backs, x.chunk(len(rows), 1), strict=True)]

        return outputs

    def _steps(self, model: Tensors, rows: range) -> Iterator[Step]:
        """Yield what makes outputs of inputs, layer by layer."""
        groups = 1
        for path, layer in self._front:
            named = dict(layer.named_parameters()) | dict(layer.named_buffers())
            own = {
                name: model[f"{path}{name}"][rows.start : rows.stop].flatten(0, 1)
                for name, tensor in named.items()
                if tensor.dim()
            }
            yield _step(layer, own, groups, len(rows))
            groups = len(rows) if isinstance(layer, nn.Conv2d) else groups

    @torch.no_grad()
    def _load(self, back: nn.Sequential, model: Tensors, row: int) -> None:
        for path, layer in zip(self._names, back, strict=True):
            for name, tensor in (*layer.named_parameters(), *layer.named_buffers()):
                if f"{path}{name}" in model:
                    tensor.copy_(model[f"{path}{name}"][row])


def _step(layer: nn.Module, own: Tensors, groups: int, devices: int) -> Step:
    """Return what a layer does, of several devices with their tensors one after the other."""
    weight, bias = own.get("weight"), own.get("bias")
    if isinstance(layer, nn.Conv2d):
        # As kernels of one channel lie, both layouts are theirs: strides must say which it is.
        last = torch.empty_like(own["weight"], memory_format=torch.channels_last)
        kernels = last.copy_(own["weight"])
        rest: Any = layer.stride, layer.padding, layer.dilation, groups
        return lambda x: functional.conv2d(x, kernels, bias, *rest)
    if isinstance(layer, nn.BatchNorm2d):
        known, eps = (own["running_mean"], own["running_var"]), layer.eps
        return lambda x: functional.batch_norm(x, *known, weight, bias, False, 0.0, eps)
    if isinstance(layer, nn.GroupNorm):
        parts, eps = layer.num_groups * devices, layer.eps
        return lambda x: functional.group_norm(x, parts, weight, bias, eps)
    return layer


def _has_repeated(module: nn.Module) -> bool:
    """Tell whether a layer or a tensor occurs in it twice."""
    layers = [id(layer) for _, layer in _layers(module)]
    tensors = [id(p) for _, p in module.named_parameters(remove_duplicate=False)]
    return len({*layers}) < len(layers) or len({*tensors}) < len(tensors)


def _layers(module: nn.Module, path: str = "") -> list[Named]:
    """Return the layers of nested ``Sequential`` modules in turn, and how their names begin."""
    if type(module) is not nn.Sequential:
        return [(path, module)]
    named = module._modules.items()
    return [layer for name, part in named for layer in _layers(part, f"{path}{name}.")]


def _shared_part(layers: Sequence[Named]) -> int:
    """Return how many layers, from the first, do to each device's channels what they do alone."""
    convolved = False
    for place, (_, layer) in enumerate(layers):
        if not _acts_by_device(layer, convolved):
            return place
        convolved = convolved or isinstance(layer, nn.Conv2d)
    return len(layers)


def _acts_by_device(layer: nn.Module, convolved: bool) -> bool:
    kind = type(layer)
    if isinstance(layer, nn.Conv2d):
        return kind is nn.Conv2d and layer.groups == 1 and layer.padding_mode == "zeros"
    if isinstance(layer, nn.BatchNorm2d):
        return kind is nn.BatchNorm2d and layer.running_mean is not None and convolved
    if isinstance(layer, nn.GroupNorm):
        return kind is nn.GroupNorm and convolved
    if isinstance(layer, nn.MaxPool2d) and layer.return_indices:
        return False
    return isinstance(layer, _BY_NUMBER + _BY_CHANNEL + _NOTHING)


def _maxima_first(layers: Sequence[Named]) -> list[Named]:
    """Return layers with maxima taken before ReLU: the same, of fewer numbers."""
    found = list(layers)
    for place in range(1, len(found)):
        before, after = found[place - 1 : place + 1]
        if type(before[1]) is nn.ReLU and isinstance(after[1], nn.MaxPool2d):
            found[place - 1 : place + 1] = after, before
    return found
