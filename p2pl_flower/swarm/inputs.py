"""Test samples, made ready once for the models of all devices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """A batch of inputs.

    Attributes
    ----------
    x : Tensor, shape (N, ...)
        The inputs.
    precision : torch.dtype
        What products are to be computed in.
    """

    x: Tensor
    precision: torch.dtype


@dataclass(frozen=True)
class VaryingInputs(Inputs):
    r"""A batch of flat inputs without those that are the same in all its samples.

    A linear layer's outputs are the same from fewer products:

    .. math:: X W^T + b = X_V W_V^T + (W c + b)

    where V are the inputs that vary, and c holds those that do not, with 0 for the others.
    The margins of images, say, hardly ever vary.

    Attributes
    ----------
    x : Tensor, shape (N, |V|)
        :math:`X_V`, in the precision.
    varying : Tensor, shape (|V|,)
        V, in ascending order.
    constant : Tensor, shape (inputs,)
        c.
    """

    varying: Tensor
    constant: Tensor

    @classmethod
    def of(cls, x: Tensor, precision: torch.dtype) -> VaryingInputs:
        """Look for what varies in a batch, shape (N, inputs)."""
        first = x[0]
        varies = (x != first).any(0)
        varying = varies.nonzero()[:, 0]
        return cls(x[:, varying].to(precision), precision, varying, first.masked_fill(varies, 0))

    def layer(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the layer that does the same on the varying inputs.

        Parameters
        ----------
        weight : Tensor, shape (outputs, inputs)
        bias : Tensor, shape (outputs,), or None
        """
        fixed = weight @ self.constant
        return weight.index_select(1, self.varying), fixed if bias is None else fixed + bias
