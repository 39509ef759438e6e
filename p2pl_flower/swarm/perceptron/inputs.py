"""Test samples of which only what varies is multiplied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import inputs
from ..inputs import Inputs


@dataclass(frozen=True)
class VaryingInputs(Inputs):
    r"""Batches of flat inputs, each without those that all its samples have as usual.

    A linear layer's outputs are the same from fewer products:

    .. math:: X W^T + b = (X - m)_V W_V^T + (W m + b)

    where m holds what is usual for each input, its median, and V are the inputs that are
    anything else in some sample of the batch. The margins of images, say, hardly ever are.

    Attributes
    ----------
    batches : Sequence[Tensor], each of shape (N, |V|)
        :math:`(X - m)_V`, in the precision.
    varying : Sequence[Tensor], each of shape (|V|,)
        V, in ascending order.
    usual : Tensor, shape (inputs,)
        m.
    """

    varying: Sequence[Tensor]
    usual: Tensor

    @classmethod
    def of(cls, x: Tensor, precision: torch.dtype, batch: int | None = None) -> VaryingInputs:
        """Split inputs into batches, shape (N, inputs), and look for what varies in each."""
        usual = x.median(0).values
        whole = torch.split(x, inputs.BATCH if batch is None else batch)
        varying = [(part != usual).any(0).nonzero()[:, 0] for part in whole]
        batches = [
            (part[:, v] - usual[v]).to(precision) for part, v in zip(whole, varying, strict=True)
        ]
        return cls(batches, precision, varying, usual)

    def layers(self, weight: Tensor, bias: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, for each batch, weight and bias that do the same on the inputs that vary.

        Parameters
        ----------
        weight : Tensor, shape (outputs, inputs)
        bias : Tensor, shape (outputs,), or None
        """
        fixed = weight @ self.usual
        fixed = (fixed if bias is None else fixed + bias).to(self.precision)
        columns = weight.to(self.precision).T.contiguous()  # whole rows are quick to pick
        for varying in self.varying:
            yield columns.index_select(0, varying).T, fixed


def alike(x: Tensor) -> Tensor:
    """Return an order of samples in which few inputs vary among neighbors.

    A sample needs an input that is not as usual in it (see `VaryingInputs`). Next come, of the
    samples that are left, those that need the input which the fewest need: all that come after
    them do without it.

    Parameters
    ----------
    x : Tensor, shape (N, inputs)

    Returns
    -------
    Tensor, shape (N,)
        A permutation.
    """
    unusual = x != x.median(0).values
    left = torch.ones(len(x), dtype=torch.bool, device=x.device)
    count, order = unusual.sum(0), []
    while bool(count.any()):
        rarest = torch.where(count > 0, count, len(x) + 1).argmin()
        chosen = (unusual[:, rarest] & left).nonzero()[:, 0]
        left[chosen] = False
        count -= unusual[chosen].sum(0)
        order.append(chosen)
    return torch.cat([*order, left.nonzero()[:, 0]])
