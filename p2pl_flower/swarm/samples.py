"""The devices' samples, and the mini-batches that they make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError
from ..seeding import batch_order
from .options import TrainOptions
from .products import linear
from .workspace import Workspace

GRAM_BYTES = 1 << 30
"""Inner products of samples are kept from round to round if all of them take no more."""


class Samples:
    """All devices' samples, one after the other.

    Parameters
    ----------
    data : sequence of (x, y)
        Each device's inputs, shape (n_k, ...), and labels, shape (n_k,), n_k at least 1.
    device : str
        Where the tensors lie.

    Attributes
    ----------
    x, y : Tensor
        Inputs and labels of all devices.
    counts, starts : NDArray[int64], shape (K,)
        How many samples each device has, and where they begin.

    Raises
    ------
    ConfigError
        There is no device, or one without samples, or with inputs and labels that do not fit.
    """

    def __init__(self, data: Sequence[tuple[Any, Any]], device: str = "cpu") -> None:
        pairs = [(torch.as_tensor(x), torch.as_tensor(y)) for x, y in data]
        if not pairs:
            raise ConfigError("data", data, "must hold (x, y) for at least one device")
        for k, (x, y) in enumerate(pairs):
            if not len(y) or len(x) != len(y):
                rule = f"device {k} must have as many labels as inputs, and one at least"
                raise ConfigError("data", (len(x), len(y)), rule)
        self.x = torch.cat([x for x, _ in pairs]).to(device)
        self.y = torch.cat([y for _, y in pairs]).to(device)
        self.counts = np.array([len(y) for _, y in pairs], dtype=np.int64)
        self._grams: dict[int, Tensor] = {}
        self._gram_bytes = int((self.counts**2).sum()) * self.x.element_size()
        self.starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]]).astype(np.int64)

    def __len__(self) -> int:
        return len(self.counts)

    def inputs(self, device: int) -> Tensor:
        """Return a device's flattened inputs, shape (n_k, features), without a copy."""
        start, count = int(self.starts[device]), int(self.counts[device])
        return self.x[start : start + count].flatten(1)

    def gram(self, device: int) -> Tensor:
        """Return the inner products of a device's flattened inputs, shape (n_k, n_k).

        They are kept, as far as `GRAM_BYTES` goes: they are the same in all rounds.
        """
        if device in self._grams:
            return self._grams[device]
        x = self.inputs(device)
        gram = linear(x, x)
        if self._gram_bytes <= GRAM_BYTES:
            self._grams[device] = gram
        return gram


@dataclass(frozen=True)
class Batch:
    """The same local step of several devices.

    Attributes
    ----------
    samples : Tensor
        The inputs of all devices' samples.
    places : Tensor, shape (A, B)
        Which of them are in the batch of each of the first A devices of a chunk; places
        beyond a device's own samples are filled with any.
    y : Tensor, shape (A, B)
        Labels.
    share : Tensor, shape (A, B)
        What each sample counts for in its device's mean loss: 1 / n, or 0 beyond.
    """

    samples: Tensor
    places: Tensor
    y: Tensor
    share: Tensor

    @property
    def active(self) -> int:
        """A, the number of devices that still have a step to make."""
        return len(self.y)

    @cached_property
    def x(self) -> Tensor:
        """Inputs, shape (A, B, ...)."""
        return _pick(self.samples, self.places)


class Batches:
    """The mini-batches of a chunk of devices in one round.

    Devices with fewer samples make fewer steps: with the devices in order of falling
    numbers of steps, those that are still at it are the first A of them. In a step whose
    batches differ in size, the smaller ones are filled up and the filling counts nothing.

    Parameters
    ----------
    samples : Samples
        All devices' samples.
    devices : NDArray[int64], shape (C,)
        Which of them, in order of `step_counts`, falling.
    options : TrainOptions
        Epochs and batch size.
    seed, round_number : int
        Seed of everything, and the round, from 1: the order of samples follows from them.

    Attributes
    ----------
    steps : NDArray[int64], shape (C,)
        H, the local steps of each device.
    width : int
        Samples in the largest batch.
    """

    def __init__(
        self,
        samples: Samples,
        devices: NDArray[np.int64],
        options: TrainOptions,
        seed: int,
        round_number: int,
    ) -> None:
        counts = samples.counts[devices]
        self.steps = step_counts(counts, options)
        self.width = min(options.batch_size, int(counts.max()))
        self._samples, self._devices = samples, devices
        shape = len(devices), int(self.steps[0])
        index = np.zeros((*shape, self.width), dtype=np.int64)
        self._sizes = np.zeros(shape, dtype=np.int64)
        for row, sizes, k in zip(index, self._sizes, devices.tolist(), strict=True):
            count, each = int(samples.counts[k]), -(-int(samples.counts[k]) // self.width)
            for epoch in range(options.local_epochs):
                part = slice(epoch * each, (epoch + 1) * each)
                order = batch_order(seed, k, round_number, epoch, count)
                row[part].reshape(-1)[:count] = order
                sizes[part] = self.width
                sizes[part.stop - 1] = count - (each - 1) * self.width
        self._index = torch.from_numpy(index)  # within each device's own samples
        starts = torch.from_numpy(samples.starts[devices])
        self._places = (self._index + starts[:, None, None]).to(samples.x.device)
        self._labels = _pick(samples.y, self._places)
        share = (np.arange(self.width) < self._sizes[..., None]) / np.maximum(self._sizes, 1)[
            ..., None
        ]
        self._share = torch.from_numpy(share.astype(np.float32)).to(samples.x.device)

    def __len__(self) -> int:
        return int(self.steps[0])

    def step(self, number: int) -> Batch:
        """Return a step, counted from 0, of all devices that make it."""
        active = int((self.steps > number).sum())
        widest = int(self._sizes[:active, number].max())
        part = slice(active), number, slice(widest)
        places, labels, share = self._places[part], self._labels[part], self._share[part]
        return Batch(self._samples.x, places, labels, share)

    def inputs(self, row: int) -> Tensor:
        """Return one device's flattened inputs in their own order, shape (n_k, features)."""
        return self._samples.inputs(int(self._devices[row]))

    @cached_property
    def order(self) -> Tensor:
        """Which of its inputs each device meets in all steps, shape (C, H * width)."""
        return self._index.flatten(1).to(self._samples.x.device)

    def gram(self, space: Workspace) -> Tensor:
        """Return the inner products of the inputs of all steps, (C, H * width, H * width)."""
        size = self.order.shape[1]
        grams = space.empty("gram", (len(self.order), size, size), self._samples.x)
        for gram, place, k in zip(grams, self.order, self._devices.tolist(), strict=True):
            whole = self._samples.gram(k)
            rows = space.empty("gram rows", (size, len(whole)), whole)
            torch.index_select(whole, 0, place, out=rows)
            torch.index_select(rows, 1, place, out=gram)
        return grams


def step_counts(counts: NDArray[np.int64], options: TrainOptions) -> NDArray[np.int64]:
    """Return the local steps of devices with n samples each: epochs times ceil(n / batch)."""
    return np.asarray(options.local_epochs * -(-counts // options.batch_size), dtype=np.int64)


def _pick(samples: Tensor, places: Tensor) -> Tensor:
    """Return the samples at places, in the places' shape."""
    picked = samples.index_select(0, places.reshape(-1))
    return picked.view(*places.shape, *samples.shape[1:])
