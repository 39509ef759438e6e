"""The devices' samples, and the mini-batches that they make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError
from ..seeding import batch_order
from .augmentation import Augmentation, Draw
from .nested import Nested, each, joined, shown
from .options import TrainOptions
from .sources import device_samples
from .stack import rows_of

Ints = NDArray[np.int64]


class Samples:
    """All devices' samples, one after the other.

    Parameters
    ----------
    data : sequence or partitioner
        Each device's inputs, shape (n_k, ...), and targets, shape (n_k, ...), n_k at least 1, in
        any of the forms that `p2pl_flower.swarm.sources.device_samples` takes.
    torch_device : str
        Where the tensors lie.
    first : int
        Which device of the run is the first of these: what devices draw follows from it.

    Attributes
    ----------
    x : Tensor, or mapping or tuple of tensors
        Inputs of all devices.
    y : Tensor
        Targets of all devices.
    counts, starts : NDArray[int64], shape (K,)
        How many samples each device has, and where they begin.

    Raises
    ------
    ConfigError
        There is no device, or one without samples, or with inputs and targets that do not fit.
    """

    def __init__(self, data: Any, torch_device: str = "cpu", first: int = 0) -> None:
        self.first = first
        pairs = device_samples(data)
        self.x: Nested = each(_to(torch_device), _joined("inputs", [x for x, _ in pairs]))
        self.y: Tensor = _joined("targets", [y for _, y in pairs]).to(torch_device)
        self.counts: Ints = np.array([len(y) for _, y in pairs], dtype=np.int64)
        self.starts: Ints = np.concatenate([[0], np.cumsum(self.counts)[:-1]]).astype(np.int64)

    def __len__(self) -> int:
        return len(self.counts)

    def inputs(self, device: int) -> Tensor:
        """Return a device's flattened inputs, shape (n_k, features), where they are one tensor."""
        start, count = int(self.starts[device]), int(self.counts[device])
        own: Tensor = self.x[start : start + count]
        return own.flatten(1)


@dataclass(frozen=True)
class Group:
    """Devices whose batches in a step have the same size.

    Attributes
    ----------
    rows : slice or Tensor
        Which devices of the chunk.
    x, y : tensors of shape (G, B, ...)
        Their inputs and targets.
    """

    rows: slice | Tensor
    x: Nested
    y: Tensor


@dataclass(frozen=True)
class Batch:
    """The same local step of several devices.

    Attributes
    ----------
    samples : Samples
        All devices' samples.
    places : Tensor, shape (A, B)
        Which of them are in the batch of each of the first A devices of a chunk; places
        beyond a device's own samples are filled with any.
    sizes : NDArray[int64], shape (A,)
        How many samples of each device's batch are its own.
    share : Tensor, shape (A, B)
        What each sample counts for in its device's mean loss: 1 / n, or 0 beyond.
    draws : sequence of Draw
        What each device's augmentation is drawn from; empty for none.
    augmentation : Augmentation or None
        What changes the inputs.
    """

    samples: Samples
    places: Tensor
    sizes: Ints
    share: Tensor
    draws: Sequence[Draw] = ()
    augmentation: Augmentation | None = None

    @property
    def active(self) -> int:
        """A, the number of devices that still have a step to make."""
        return len(self.places)

    @cached_property
    def x(self) -> Nested:
        """Inputs as they are, shape (A, B, ...)."""
        return _pick(self.samples.x, self.places)

    @cached_property
    def y(self) -> Tensor:
        """Targets, shape (A, B, ...)."""
        picked: Tensor = _pick(self.samples.y, self.places)
        return picked

    def groups(self) -> Iterator[Group]:
        """Yield the devices by the size of their batches, none of which is filled up."""
        for size in sorted(set(self.sizes.tolist()), reverse=True):
            found = np.flatnonzero(self.sizes == size)
            rows = rows_of(found)
            places = self.places[rows, :size]
            x, y = _pick(self.samples.x, places), _pick(self.samples.y, places)
            if self.augmentation is not None:
                pairs = zip(x, found.tolist(), strict=True)
                x = torch.stack([self.augmentation(part, self.draws[row]) for part, row in pairs])
            yield Group(rows, x, y)


class Batches:
    """The mini-batches of a chunk of devices in one round.

    Devices with fewer samples make fewer steps: with the devices in order of falling
    numbers of steps, those that are still at it are the first A of them.

    Parameters
    ----------
    samples : Samples
        All devices' samples.
    devices : NDArray[int64], shape (C,)
        Which of them, in order of `step_counts`, falling.
    options : TrainOptions
        Epochs, batch size and augmentation.
    seed, round_number : int
        Seed of everything, and the round, from 1: the order of samples follows from them.

    Attributes
    ----------
    samples : Samples
    devices : NDArray[int64], shape (C,)
        As given.
    steps : NDArray[int64], shape (C,)
        H, the local steps of each device.
    width : int
        Samples in the largest batch.
    """

    def __init__(
        self, samples: Samples, devices: Ints, options: TrainOptions, seed: int, round_number: int
    ) -> None:
        counts = samples.counts[devices]
        self.devices, self.steps = devices, step_counts(counts, options)
        self.width = min(options.batch_size, int(counts.max()))
        self.samples, self._seed, self._round = samples, seed, round_number
        self._augmentation = Augmentation(options.transform) if options.transform else None
        self._each = -(-counts // self.width)  # steps of an epoch
        shape = len(devices), int(self.steps[0])
        index = np.zeros((*shape, self.width), dtype=np.int64)
        self._sizes: Ints = np.zeros(shape, dtype=np.int64)
        for row, sizes, k in zip(index, self._sizes, devices.tolist(), strict=True):
            count, each = int(samples.counts[k]), -(-int(samples.counts[k]) // self.width)
            for epoch in range(options.local_epochs):
                part = slice(epoch * each, (epoch + 1) * each)
                order = batch_order(seed, samples.first + k, round_number, epoch, count)
                row[part].reshape(-1)[:count] = order
                sizes[part] = self.width
                sizes[part.stop - 1] = count - (each - 1) * self.width
        self._index = torch.from_numpy(index)  # within each device's own samples
        starts = torch.from_numpy(samples.starts[devices])
        self._places = (self._index + starts[:, None, None]).to(samples.y.device)
        share = (np.arange(self.width) < self._sizes[..., None]) / np.maximum(self._sizes, 1)[
            ..., None
        ]
        self._share = torch.from_numpy(share.astype(np.float32)).to(samples.y.device)

    def __len__(self) -> int:
        return int(self.steps[0])

    def step(self, number: int) -> Batch:
        """Return a step, counted from 0, of all devices that make it."""
        active = int((self.steps > number).sum())
        sizes = self._sizes[:active, number]
        part = slice(active), number, slice(int(sizes.max()))
        draws = [] if self._augmentation is None else [self._draw(k, number) for k in range(active)]
        places, share = self._places[part], self._share[part]
        return Batch(self.samples, places, sizes, share, draws, self._augmentation)

    def of_device(self, row: int) -> Iterator[tuple[Nested, Tensor]]:
        """Yield the mini-batches of one device of the chunk, step by step."""
        for number in range(int(self.steps[row])):
            places = self._places[row, number, : int(self._sizes[row, number])]
            x = _pick(self.samples.x, places)
            if self._augmentation is not None:
                x = self._augmentation(x, self._draw(row, number))
            yield x, self.samples.y.index_select(0, places)

    def inputs(self, row: int) -> Tensor:
        """Return one device's flattened inputs in their own order, shape (n_k, features)."""
        return self.samples.inputs(int(self.devices[row]))

    @cached_property
    def order(self) -> Tensor:
        """Which of its inputs each device meets in all steps, shape (C, H * width)."""
        return self._index.flatten(1).to(self.samples.y.device)

    def _draw(self, row: int, number: int) -> Draw:
        """Return what a step of a device draws from."""
        each = int(self._each[row])
        samples = self._index[row, number, : int(self._sizes[row, number])].tolist()
        device = self.samples.first + int(self.devices[row])
        return Draw(self._seed, device, self._round, number // each, number % each, samples)


def step_counts(counts: Ints, options: TrainOptions) -> Ints:
    """Return the local steps of devices with n samples each: epochs times ceil(n / batch)."""
    return np.asarray(options.local_epochs * -(-counts // options.batch_size), dtype=np.int64)


def _to(torch_device: str) -> Callable[[Tensor], Tensor]:
    return lambda tensor: tensor.to(torch_device)


def _pick(samples: Nested, places: Tensor) -> Nested:
    """Return the samples at places, in the places' shape."""
    if not isinstance(samples, Tensor):
        return each(lambda part: _pick(part, places), samples)
    picked = samples.index_select(0, places.reshape(-1))
    return picked.view(*places.shape, *samples.shape[1:])


def _joined(what: str, parts: list[Nested]) -> Nested:
    """Return all devices' samples one after the other."""
    for k, part in enumerate(parts):
        if shown(part) != shown(parts[0]):
            found = f"{what} of {shown(part)} on device {k}"
            rule = f"must be alike on all devices; device 0 has {shown(parts[0])}"
            raise ConfigError("data", found, rule)
    return joined(parts)
