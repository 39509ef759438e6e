"""Training inputs changed at random: each device, epoch and sample has its own draw."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError
from ..seeding import Stream, derive


@dataclass(frozen=True)
class Draw:
    """Which mini-batch of which device is drawn for.

    Attributes
    ----------
    seed, device, round_number, epoch, step : int
        The run's seed, and the place of the batch; the round counts from 1, the others from 0.
    samples : sequence of int
        Places of the batch's samples among the device's own.
    """

    seed: int
    device: int
    round_number: int
    epoch: int
    step: int
    samples: Sequence[int]

    def of_batch(self) -> int:
        """Return the seed of the batch."""
        return self._derive(0, self.step)

    def of_samples(self) -> list[int]:
        """Return the seed of each sample."""
        return [self._derive(1, sample) for sample in self.samples]

    def _derive(self, *place: int) -> int:
        where = self.device, self.round_number, self.epoch
        return derive(self.seed, Stream.TRANSFORM, *where, *place)


class Augmentation:
    """A transform with the draws of each mini-batch.

    Parameters
    ----------
    transform : callable
        ``(x, generator) -> x``, given a device's mini-batch, shape (B, ...), and a
        ``torch.Generator`` of its own; or ``(x) -> x``, given one sample, as torchvision's
        are, which draws from PyTorch's global generator, seeded for each sample.

    Attributes
    ----------
    draws_globally : bool
        Whether PyTorch's global generator is drawn from: threads would share it.
    """

    def __init__(self, transform: Callable[..., Any]) -> None:
        self._transform = transform
        self.draws_globally = _parameters(transform) < 2

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        """Return the changed inputs of one device's mini-batch, shape (B, ...).

        Raises
        ------
        ConfigError
            What is returned is no tensor, or none of so many samples.
        """
        if self.draws_globally:
            return self._sample_by_sample(x, draw)
        generator = torch.Generator(x.device).manual_seed(draw.of_batch())
        return self._checked(self._transform(x, generator), len(x))

    def _sample_by_sample(self, x: Tensor, draw: Draw) -> Tensor:
        changed = []
        with torch.random.fork_rng(devices=[] if x.is_cpu else None):
            for sample, seed in zip(x, draw.of_samples(), strict=True):
                torch.manual_seed(seed)
                changed.append(self._transform(sample))
        return self._checked(torch.stack(changed), len(x))

    def _checked(self, changed: Any, count: int) -> Tensor:
        if isinstance(changed, Tensor) and len(changed) == count:
            return changed
        found = tuple(changed.shape) if isinstance(changed, Tensor) else type(changed).__name__
        raise ConfigError("transform", found, f"must return a tensor of {count} samples")


def _parameters(transform: Callable[..., Any]) -> int:
    """Return how many positional arguments a transform needs."""
    try:
        parameters = inspect.signature(transform).parameters.values()
    except ValueError:  # some built-ins have no signature
        return 1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is p.empty for p in parameters)
