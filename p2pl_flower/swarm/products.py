"""Matrix products on the quickest path that PyTorch has for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear as torch_linear

_MANY_ROWS = 32
"""Rows from which oneDNN is quicker than MKL, its calls taking longer."""


def _onednn() -> Callable[..., Tensor] | None:
    """Return oneDNN's linear layer, which `torch.compile` calls too, where PyTorch has it.

    In single precision PyTorch multiplies through MKL, which leaves half of an AMD
    processor's vector units unused; oneDNN does not.
    """
    found: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return found if there else None


def _kinds() -> frozenset[torch.dtype]:
    """Return the precisions in which oneDNN is quick on this processor."""
    supported: Any = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    half = [torch.bfloat16] if _ONEDNN is not None and supported() else []
    return frozenset([torch.float32, *half])


_ONEDNN = _onednn()
_KINDS = _kinds()


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """Return ``x @ weight.T + bias``, and ReLU of it where asked for, in x's precision.

    Parameters
    ----------
    x : Tensor, shape (N, inputs)
    weight : Tensor, shape (outputs, inputs)
    bias : Tensor, shape (outputs,), or None
    relu : bool
    """
    weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
    large = len(x) >= _MANY_ROWS and x.shape[1] > 0
    if _ONEDNN is not None and x.is_cpu and x.dtype in _KINDS and large:
        return _ONEDNN(x, weight, bias, "relu" if relu else "none", [], "")
    outputs = torch_linear(x, weight, bias)
    return outputs.relu_() if relu else outputs
