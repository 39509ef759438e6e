"""A consensus step of all devices as one product with the mixing matrix."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .edges import Edges
from .products import linear
from .stack import Stack, in_parts, rows_of
from .workers import Do, in_turn

DENSE_FROM = 0.1
"""Share of entries from which a dense product is quicker than a sparse one."""

_DENSE_BLOCK, _SPARSE_BLOCK = 8 << 20, 1 << 20
_SAME = 1e-12


MIXING_BYTES = _DENSE_BLOCK
"""What mixing leaves a thread with: measured, between a sparse graph's and a dense one's."""


@dataclass(frozen=True)
class Mixing:
    r"""One product :math:`W \leftarrow M W`, with W the models, one in each row.

    Attributes
    ----------
    rows, columns : NDArray[int64], shape (N,)
        Places in M that are not 0.
    values : NDArray[float64], shape (N,)
        What stands there; every row sums to 1, or every column.
    shape : tuple[int, int]
        (K, K), or (1, K) where all devices get the same model.
    sent : NDArray[int64], shape (K,)
        How many models each device sends to others in this step.
    active : NDArray[bool], shape (K,)
        Which devices take part.
    gamma : float
        The consensus step size, which is in M already.
    moment : tuple[int, int]
        The round, and the consensus steps made in it before.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]
    shape: tuple[int, int]
    sent: NDArray[np.int64]
    active: NDArray[np.bool_]
    gamma: float = 1.0
    moment: tuple[int, int] = (0, 0)

    @classmethod
    def gossip(
        cls,
        edges: Edges,
        weights: NDArray[np.float64],
        heard: NDArray[np.bool_],
        active: NDArray[np.bool_],
        gamma: float,
        own: NDArray[np.float64] | None = None,
    ) -> Mixing:
        r"""Return :math:`w_k \leftarrow w_k + \gamma \sum_j a_{kj} (w_j - w_k)` as a matrix.

        Parameters
        ----------
        edges : Edges
            Who may hear whom.
        weights : NDArray[float64]
            :math:`a_{kj}` on each edge, 0 where nothing was heard.
        heard : NDArray[bool]
            On which edges a model arrived.
        active : NDArray[bool], shape (K,)
            Which devices take part.
        gamma : float
            :math:`\gamma`.
        own : NDArray[float64] or None, shape (K,)
            :math:`a_{kk}`; None for what rows lack to 1.
        """
        count = len(edges.degrees)
        every = np.arange(count)
        rows = np.concatenate([edges.to[heard], every])
        columns = np.concatenate([edges.source[heard], every])
        kept = 1 - gamma * edges.sums(weights) if own is None else 1 - gamma + gamma * own
        values = np.concatenate([gamma * weights[heard], kept])
        sent = np.bincount(edges.source[heard], minlength=count)
        return cls(rows, columns, values, (count, count), sent, active, gamma)

    @classmethod
    def average(cls, weights: NDArray[np.float64]) -> Mixing:
        """Return one row for all: everybody gets the weighted mean, weights of sum 1."""
        columns = np.flatnonzero(weights)
        sent, active = np.zeros(len(weights), dtype=np.int64), np.full(len(weights), True)
        shape = (1, len(weights))
        return cls(np.zeros_like(columns), columns, weights[columns], shape, sent, active)

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self.shape[0] == self.shape[1] == len(self.rows)

    @cached_property
    def is_dense(self) -> bool:
        """Whether a dense product is the quicker one."""
        return len(self.rows) >= DENSE_FROM * self.shape[0] * self.shape[1]

    @cached_property
    def is_mean(self) -> bool:
        """Whether all rows are the same: all get one mean, as on a complete graph."""
        if len(self.rows) < self.shape[0] * self.shape[1]:
            return False
        dense = self.dense()
        return bool(np.ptp(dense, axis=0).max() <= _SAME)

    @property
    def cost(self) -> float:
        """What the product costs, as a share of a dense one."""
        if self.is_mean:
            return 1 / self.shape[0]
        return min(1.0, len(self.rows) / (DENSE_FROM * self.shape[0] * self.shape[1]))

    def matrix(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return M as a tensor, dense or in compressed sparse rows; one row that serves all."""
        if self.is_dense:
            dense = torch.from_numpy(self.dense())
            return (dense[:1] if self.is_mean else dense).to(device, dtype)
        order = np.lexsort((self.columns, self.rows))
        ends = np.cumsum(np.bincount(self.rows, minlength=self.shape[0]))
        starts = torch.from_numpy(np.concatenate([[0], ends]))
        columns = torch.from_numpy(self.columns[order])
        values = torch.from_numpy(self.values[order])
        with warnings.catch_warnings():  # sparse rows are a beta feature, PyTorch warns
            warnings.simplefilter("ignore", UserWarning)
            sparse = torch.sparse_csr_tensor(starts, columns, values, self.shape)
            return sparse.to(device, dtype)

    def dense(self) -> NDArray[np.float64]:
        """Return M as an array."""
        dense = np.zeros(self.shape)
        dense[self.rows, self.columns] = self.values
        return dense

    def row(self, device: int) -> dict[int, float]:
        """Return the weights a_kj of the devices that ``device`` hears in this step."""
        mine = (self.rows == device) & (self.columns != device)
        weights = self.values[mine] / self.gamma
        return dict(zip(self.columns[mine].tolist(), weights.tolist(), strict=True))

    def part(self, first: int, count: int) -> tuple[Mixing, NDArray[np.int64]]:
        """Return the step of some devices alone, and whom else they hear.

        Parameters
        ----------
        first, count : int
            The devices ``first``, ..., ``first + count - 1``.

        Returns
        -------
        Mixing
            Of shape (``count``, ``count`` + F): after their own columns come those of others.
        NDArray[int64], shape (F,)
            Who the others are, ascending.
        """
        mine = slice(first, first + count)
        everybody = self.shape[0] == 1
        rows = np.flatnonzero((self.rows >= first) & (self.rows < first + count) | everybody)
        columns = self.columns[rows]
        inside = (columns >= first) & (columns < first + count)
        others = np.unique(columns[~inside])
        places = np.where(inside, columns - first, count + np.searchsorted(others, columns))
        step = Mixing(
            self.rows[rows] - (0 if everybody else first),
            places,
            self.values[rows],
            (1 if everybody else count, count + len(others)),
            self.sent[mine],
            self.active[mine],
            self.gamma,
            self.moment,
        )
        return step, others

    def apply(
        self,
        tensors: Mapping[str, Tensor],
        do: Do = in_turn,
        beside: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Change stacked tensors in place, block by block of their columns.

        Parameters
        ----------
        tensors : Mapping[str, Tensor]
            Each of shape (K, ...).
        do : Do
            Does the blocks: side by side on worker threads, say.
        beside : Mapping[str, Tensor] or None
            What others have sent, each of shape (F, ...), where M has columns for it (see `part`).
        """
        if self.is_identity:
            return
        matrices: dict[torch.dtype, Tensor] = {}
        blocks = []
        for name, tensor in tensors.items():
            wide = torch.promote_types(tensor.dtype, torch.float32)
            if wide not in matrices:
                matrices[wide] = self.matrix(wide, tensor.device)
            flat = tensor.view(len(tensor), -1)
            size = _DENSE_BLOCK if self.is_dense else _SPARSE_BLOCK
            heard = beside[name].view(len(beside[name]), -1) if beside else flat[:0]
            blocks += [
                (matrices[wide], flat[:, block], heard[:, block])
                for block in column_blocks(flat, size)
            ]
        do(_multiply, blocks)


def _multiply(work: tuple[Tensor, Tensor, Tensor]) -> None:
    """Multiply a block of columns, and what is beside it, by a matrix, in place."""
    matrix, block, beside = work
    before = block.to(matrix.dtype).contiguous()
    if not len(beside):
        block.copy_(matrix @ before if matrix.is_sparse_csr else linear(matrix, before.T))
        return
    before = torch.cat([before, beside.to(before)])
    broken = ~before.isfinite().all(1)
    if matrix.is_sparse_csr or not bool(broken.any()):
        block.copy_(matrix @ before if matrix.is_sparse_csr else linear(matrix, before.T))
        return
    # 0 times a NaN is one, too: it is to reach those alone that hear it
    reached = (matrix[:, broken] != 0).any(1)
    before[broken] = 0.0
    product = linear(matrix, before.T)
    product[reached] = torch.nan
    block.copy_(product)


def folded(mixings: Iterable[Mixing], width: int) -> list[Mixing]:
    """Return steps that do what all steps do one after the other: one, where that is quicker.

    Parameters
    ----------
    mixings : Iterable[Mixing]
        One step after the other.
    width : int
        Numbers in a model.
    """
    steps = list(mixings)
    saved = (sum(step.cost for step in steps) - 1) * width
    if len(steps) < 2 or saved <= 2 * (len(steps) - 1) * len(steps[0].sent):
        return steps
    product = reduce(lambda before, step: step.dense() @ before, steps[1:], steps[0].dense())
    rows, columns = np.nonzero(product)
    sent = np.sum([step.sent for step in steps], axis=0)
    active = np.any([step.active for step in steps], axis=0)
    return [Mixing(rows, columns, product[rows, columns], product.shape, sent, active)]


def column_blocks(flat: Tensor, size: int = _DENSE_BLOCK) -> Iterator[slice]:
    """Cut a matrix into blocks of columns of about ``size`` bytes, which suits a cache."""
    width = max(64, size // max(1, len(flat) * flat.element_size()))
    if not flat.is_cpu:
        width *= 32
    for start in range(0, flat.shape[1], width):
        yield slice(start, start + width)


def consensus_distance(
    stack: Stack, do: Do = in_turn, devices: NDArray[np.int64] | None = None
) -> float:
    r"""Return :math:`\sqrt{\frac{1}{K} \sum_k \|w_k - \bar{w}\|^2}` over the mixed tensors.

    Of all devices unless some are named. In double precision, from the differences to the first:
    equal models have distance 0.
    """
    rows = slice(None) if devices is None or len(devices) == stack.devices else rows_of(devices)
    count, blocks = stack.devices if devices is None else len(devices), []
    for name in stack.mixed:
        flat = in_parts(stack.tensors[name]).view(stack.devices, -1)
        # A block is there several times, in double precision.
        blocks += [(flat, block) for block in column_blocks(flat, _SPARSE_BLOCK)]
    squares = np.zeros(len(blocks))

    def measure(number: int) -> None:
        flat, block = blocks[number]
        own = flat[rows, block].double()
        apart = own - own[0]
        squares[number] = float((apart - apart.mean(0)).square().sum())

    do(measure, range(len(blocks)))
    return float(np.sqrt(squares.sum() / count))
