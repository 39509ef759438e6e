"""Robust mixing rules on all messages at once: the numbers are those of `MixingRule.combine`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..algorithms.mixing import ClippedGossip, Krum, Median, MixingRule, TrimmedMean
from ..algorithms.mixing.base import hostile
from .mixing import Mixing, column_blocks
from .workers import Do, Ids, in_turn

Stacked = dict[str, Tensor]

_BLOCK, _TOGETHER = 8 << 20, 2 << 20
"""Bytes of all messages' columns, and of what is put in order, that are worked on at a time."""


def combined(
    rule: MixingRule,
    messages: Mapping[str, Tensor],
    beside: Mapping[str, Tensor],
    mixing: Mixing,
    do: Do = in_turn,
) -> Stacked | None:
    """Return the messages after a consensus step; None where a rule mixes device by device.

    Parameters
    ----------
    rule : MixingRule
        How messages are mixed.
    messages : Mapping[str, Tensor]
        What devices have sent, each tensor of shape (K, ...); not changed.
    beside : Mapping[str, Tensor]
        What else is heard, each of shape (F, ...); empty for nothing.
    mixing : Mixing
        Who hears what, by which weights.
    do : Do
        Does parts of it: side by side on worker threads, say.
    """
    if any(tensor.is_complex() for tensor in messages.values()):
        return None
    step = _Step.of(messages, beside, mixing, do)
    if type(rule) is TrimmedMean or type(rule) is Median:
        return step.ordered(rule)
    if type(rule) is ClippedGossip:
        return step.product(_clipped(rule, step))
    if type(rule) is Krum:
        return step.product(_chosen(rule, step))
    return None


@dataclass(frozen=True)
class _Step:
    """A consensus step with what is heard in it.

    Attributes
    ----------
    messages, beside, mixing, do
        As for `combined`.
    heard : Mapping[int, tuple[NDArray[int64], NDArray[float64]]]
        By device that takes part: the messages without a NaN or an infinity that reach it, the
        own not among them, ascending, and their weights a_kj.
    good : NDArray[bool], shape (K + F,)
        Which messages these are.
    """

    messages: Mapping[str, Tensor]
    beside: Mapping[str, Tensor]
    mixing: Mixing
    do: Do
    heard: Mapping[int, tuple[Ids, NDArray[np.float64]]]
    good: NDArray[np.bool_]

    @classmethod
    def of(
        cls, messages: Mapping[str, Tensor], beside: Mapping[str, Tensor], mixing: Mixing, do: Do
    ) -> _Step:
        good = np.concatenate([_finite(messages, do), _finite(beside, do)])
        kept = (mixing.rows != mixing.columns) & good[mixing.columns]
        rows, columns = mixing.rows[kept], mixing.columns[kept]
        order = np.lexsort((columns, rows))
        ends = np.cumsum(np.bincount(rows, minlength=mixing.shape[0]))[:-1]
        each = np.split(columns[order], ends), np.split(mixing.values[kept][order], ends)
        heard = {
            k: (each[0][k], each[1][k] / mixing.gamma)
            for k in np.flatnonzero(mixing.active).tolist()
        }
        return cls(messages, beside, mixing, do, heard, good)

    def ordered(self, rule: TrimmedMean | Median) -> Stacked:
        """Return the messages moved to means of what is in the middle, number by number."""
        after = {name: tensor.clone() for name, tensor in self.messages.items()}
        groups = list(self._groups())

        def work(part: tuple[str, slice, Ids]) -> None:
            name, block, group = part
            own = _flat(after[name])[torch.from_numpy(group[:, 0]).to(after[name].device), block]
            values = self._values(name, block, group)
            middle = _middle(rule, values, group.shape[1]).to(values.device)
            wide = own.to(values.dtype)
            target = wide + self.mixing.gamma * (middle - wide)
            flat, rows = _flat(after[name]), torch.from_numpy(group[:, 0]).to(own.device)
            flat[rows, block] = target.to(own.dtype)

        self.do(
            work,
            [
                (name, block, some)
                for name, tensor in self.messages.items()
                for block in column_blocks(_flat(tensor), _BLOCK)
                for group in groups
                for some in _cut(group, block, tensor)
            ],
        )
        return after

    def product(self, mixing: Mixing) -> Stacked:
        """Return a product with a matrix, in which messages that are no numbers are left out."""
        after = {name: tensor.clone() for name, tensor in self.messages.items()}
        beside = {name: tensor.clone() for name, tensor in self.beside.items()}
        own, others = np.split(~self.good, [mixing.shape[0]])
        bad, ill = (torch.from_numpy(np.flatnonzero(part)) for part in (own, others))
        for tensors, rows in ((after, bad), (beside, ill)):
            for tensor in tensors.values():
                tensor[rows.to(tensor.device)] = 0.0
        mixing.apply(after, self.do, beside)
        for name, tensor in after.items():
            tensor[bad.to(tensor.device)] = self.messages[name][bad.to(tensor.device)]
        return after

    def distances(self, one: Ids, other: Ids) -> NDArray[np.float64]:
        """Return the squared L2 distances of P pairs of messages, shape (P,)."""
        blocks = [
            (name, block)
            for name, tensor in self.messages.items()
            for block in column_blocks(_flat(tensor), _BLOCK)
        ]
        parts = np.zeros((len(blocks), len(one)))
        measure = _by_products if len(one) > self.mixing.shape[1] ** 2 / 8 else _by_differences

        def work(number: int) -> None:
            columns = self._columns(*blocks[number])
            i, j = (torch.from_numpy(ids).to(columns.device) for ids in (one, other))
            parts[number] = measure(columns, i, j).cpu().numpy()

        self.do(work, range(len(blocks)))
        return np.asarray(parts.sum(0))

    def _columns(self, name: str, block: slice) -> Tensor:
        """Return some columns of all that is heard, in single precision at least."""
        part = _flat(self.messages[name])[:, block]
        wide = part.to(torch.promote_types(part.dtype, torch.float32))
        if not self.beside:
            return wide
        return torch.cat([wide, _flat(self.beside[name])[:, block].to(wide)])

    def _values(self, name: str, block: slice, group: Ids) -> Tensor:
        """Return some columns of the messages that devices of a group have: (G, n, columns)."""
        rows = torch.from_numpy(group.reshape(-1))
        if self.beside:
            found = self._columns(name, block)[rows.to(self.messages[name].device)]
        else:
            part = _flat(self.messages[name])[rows.to(self.messages[name].device), block]
            found = part.to(torch.promote_types(part.dtype, torch.float32))
        return found.view(*group.shape, -1)

    def _groups(self) -> Iterator[Ids]:
        """Return devices that have as many messages, the own first: each of shape (G, n)."""
        by_count: dict[int, list[NDArray[np.int64]]] = {}
        for device, (columns, _) in self.heard.items():
            by_count.setdefault(len(columns), []).append(np.array([device, *columns.tolist()]))
        yield from (np.stack(rows) for rows in by_count.values())


def _middle(rule: TrimmedMean | Median, values: Tensor, count: int) -> Tensor:
    """Return the mean of the values in the middle of each number, of shape (G, n, columns)."""
    if isinstance(rule, TrimmedMean):
        cut = hostile(rule.share, count)
        first, last = cut, count - cut
    else:
        first, last = (count - 1) // 2, count // 2 + 1
    if not values.is_cpu:
        return values.sort(1).values[:, first:last].mean(1)
    ordered = values.numpy()
    ordered.sort(axis=1)  # which is quicker than PyTorch's
    return torch.from_numpy(ordered[:, first:last].mean(1))


def _clipped(rule: ClippedGossip, step: _Step) -> Mixing:
    """Return the step by weights that are clipped."""
    devices = list(step.heard)
    one = np.repeat(devices, [len(step.heard[k][0]) for k in devices])
    other = np.concatenate([step.heard[k][0] for k in devices])
    weights = np.concatenate([step.heard[k][1] for k in devices])
    apart = np.sqrt(step.distances(one, other))
    radii = np.full(step.mixing.shape[0], rule.radius)
    if not rule.radius:
        for k in devices:
            mine = one == k
            pairs = dict(enumerate(apart[mine])), dict(enumerate(weights[mine]))
            radii[k] = rule.adapted(*pairs)
    with np.errstate(invalid="ignore"):  # of devices that are ill themselves
        shorter = np.divide(radii[one], apart, out=np.ones_like(apart), where=apart > 0)
    return _by_weights(step.mixing, one, other, weights * np.fmin(1.0, shorter))


def _chosen(rule: Krum, step: _Step) -> Mixing:
    """Return the step to the message that each device chooses."""
    closed = {k: np.array([k, *columns.tolist()]) for k, (columns, _) in step.heard.items()}
    width = step.mixing.shape[1]
    pairs = [ids[:, None] * width + ids for ids in (np.sort(c) for c in closed.values())]
    codes = np.unique(np.concatenate([p[np.triu_indices(len(p), 1)] for p in pairs]))
    found = step.distances(codes // width, codes % width)
    others = np.zeros(step.mixing.shape[0], dtype=np.int64)
    for k, ids in closed.items():
        low, high = np.minimum.outer(ids, ids), np.maximum.outer(ids, ids)
        places = np.searchsorted(codes, low * width + high)
        apart = found[np.minimum(places, len(codes) - 1)] if len(codes) else np.zeros((1, 1))
        others[k] = ids[rule.chosen(apart)]
    devices = np.array([k for k in closed if others[k] != k], dtype=np.int64)
    return _by_weights(step.mixing, devices, others[devices], np.ones(len(devices)))


def _by_products(columns: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Return the squared distances of rows, where they are most of all pairs."""
    products = columns.double() @ columns.double().T
    squares = products.diagonal()
    if not squares.isfinite().all():  # numbers so large that products would be no numbers
        return _by_differences(columns, i, j)
    return (squares[i] + squares[j] - 2 * products[i, j]).clamp(min=0.0)


def _by_differences(columns: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Return the squared distances of rows, pair by pair."""
    most = max(1, _TOGETHER // (4 * columns.shape[1]))
    parts = zip(torch.split(i, most), torch.split(j, most), strict=True)
    norms = [torch.linalg.vector_norm(columns[a] - columns[b], dim=1) for a, b in parts]
    return torch.cat([*norms, columns.new_zeros(0)]).double().square()


def _by_weights(mixing: Mixing, to: Ids, source: Ids, weights: NDArray[np.float64]) -> Mixing:
    """Return a step by other weights: those that are named, and what they lack to 1."""
    count = mixing.shape[0]
    every = np.arange(count)
    own = 1 - mixing.gamma * np.bincount(to, weights, minlength=count)
    return replace(
        mixing,
        rows=np.concatenate([to, every]),
        columns=np.concatenate([source, every]),
        values=np.concatenate([mixing.gamma * weights, own]),
    )


def _finite(messages: Mapping[str, Tensor], do: Do) -> NDArray[np.bool_]:
    """Return which messages hold nothing but finite numbers."""
    tensors = [_flat(tensor) for tensor in messages.values()]
    if not tensors:
        return np.zeros(0, dtype=np.bool_)
    blocks = [(flat, block) for flat in tensors for block in column_blocks(flat, _BLOCK)]
    good = np.full((len(blocks), len(tensors[0])), True)

    def work(number: int) -> None:
        flat, block = blocks[number]
        good[number] = flat[:, block].isfinite().all(1).cpu().numpy()

    do(work, range(len(blocks)))
    return np.asarray(good.all(0))


def _flat(tensor: Tensor) -> Tensor:
    return tensor.view(len(tensor), -1)


def _cut(group: Ids, block: slice, tensor: Tensor) -> Iterator[Ids]:
    """Cut a group of devices, so that what they have put in order is not too much at a time."""
    columns = min(block.stop, _flat(tensor).shape[1]) - block.start
    most = max(1, _TOGETHER // (4 * group.shape[1] * columns))
    for start in range(0, len(group), most):
        yield group[start : start + most]
