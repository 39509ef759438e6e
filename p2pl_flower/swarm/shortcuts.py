"""Modules made to compute the same by fewer passes over memory."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

_MAKERS = (_ConvNd, nn.Linear, nn.GroupNorm, _NormBase)
"""Layers whose outputs are their own and which need them no more, for gradients neither."""


def take_shortcuts(module: nn.Module) -> None:
    """Change a module so that it computes the same numbers quicker on a CPU.

    In a ``Sequential``, ReLU after a layer overwrites what the layer has made. Where no gradient
    is needed, maxima over windows side by side are taken in one pass for each axis.

    Parameters
    ----------
    module : nn.Module
        A module of the learner's own.
    """
    places = Counter(id(child) for part in module.modules() for child in part._modules.values())
    for part in module.modules():
        if type(part) is nn.MaxPool2d:
            part.__class__ = _MaxPool2d
        if type(part) is nn.Sequential:
            for before, after in pairwise(part):
                if _may_overwrite(before, after) and places[id(after)] == 1:
                    setattr(after, "inplace", True)  # noqa: B010  to mypy a module's are modules


def _may_overwrite(before: nn.Module, after: nn.Module) -> bool:
    """Tell whether nobody else sees what one module hands to the next."""
    hooked = before._forward_hooks or after._forward_pre_hooks
    return type(after) is nn.ReLU and isinstance(before, _MAKERS) and not hooked


class _MaxPool2d(nn.MaxPool2d):
    """One that is quicker where no gradient is needed."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  PyTorch's name for it
        """Return the maxima, which PyTorch also takes in one pass, but number by number."""
        if torch.is_grad_enabled() or not self._is_plain(input):
            maxima: Tensor = super().forward(input)
            return maxima
        rows = torch.maximum(input[:, :, ::2], input[:, :, 1::2])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])

    def _is_plain(self, x: Tensor) -> bool:
        sides = [_both(part) for part in (self.kernel_size, self.stride)]
        rest = [_both(part) for part in (self.padding, self.dilation)]
        usual = sides == [(2, 2)] * 2 and rest == [(0, 0), (1, 1)] and not self.return_indices
        last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        return usual and last and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0


def _both(given: int | tuple[int, ...]) -> tuple[int, ...]:
    return (given, given) if isinstance(given, int) else tuple(given)
