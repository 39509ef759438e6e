"""Which samples train on which device, and which ones models are scored on."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from p2pl_flower.errors import ConfigError
from p2pl_flower.seeding import Stream, generator
from p2pl_flower.swarm.scored import some

from . import datasets
from .partition import partition
from .scenario import Scenario
from .validation import Indices, hold_out


def device_samples(scenario: Scenario, num_devices: int) -> tuple[Indices, ...]:
    """Return the indices of every device's training samples; one device has them all.

    Those of the validation part are left out, the same ones for one device as for all.
    """
    if scenario.validation:
        kept, _ = _held_out(*_split_of(scenario), scenario.validation)
        return kept if num_devices > 1 else (np.sort(np.concatenate(kept)),)
    name, folder, scheme, _, seed = _split_of(scenario)
    return _split(name, folder, scheme if num_devices > 1 else "iid", num_devices, seed)


def scored_samples(scenario: Scenario, most: int = 0) -> tuple[Tensor, Tensor]:
    """Return images and labels to score on: the test set, or the validation part if there is one.

    They are on the scenario's PyTorch device, images of shape (samples, channels, height, width).
    Where ``most`` is not 0 they are as many of them at most, drawn at random.
    """
    return _scored(*_split_of(scenario), scenario.validation, scenario.torch_device, most)


def _split_of(scenario: Scenario) -> tuple[str, str, str, int, int]:
    """Return what a split depends on."""
    name = scenario.dataset, scenario.data_dir, scenario.partition
    return (*name, scenario.num_devices, scenario.seed)


@functools.lru_cache(maxsize=2)
def _split(
    dataset: str, data_dir: str, scheme: str, num_devices: int, seed: int
) -> tuple[Indices, ...]:
    return partition(scheme, datasets.load(dataset, data_dir).train_y, num_devices, seed)


@functools.lru_cache(maxsize=2)
def _held_out(
    dataset: str, data_dir: str, scheme: str, num_devices: int, seed: int, share: float
) -> tuple[tuple[Indices, ...], Indices]:
    scheme = scheme if num_devices > 1 else "iid"
    kept, taken = hold_out(_split(dataset, data_dir, scheme, num_devices, seed), share, seed)
    if not len(taken):
        rule = f"holds out no sample: no device of {num_devices} has enough for one"
        raise ConfigError("validation", share, rule)
    return kept, taken


@functools.lru_cache(maxsize=2)
def _scored(
    dataset: str,
    data_dir: str,
    scheme: str,
    num_devices: int,
    seed: int,
    share: float,
    device: str,
    most: int,
) -> tuple[Tensor, Tensor]:
    data = datasets.load(dataset, data_dir)
    x, y = data.test_x, data.test_y
    if share:
        _, taken = _held_out(dataset, data_dir, scheme, num_devices, seed, share)
        x, y = data.train_x[taken], data.train_y[taken]
    whole = torch.from_numpy(data.pixels(x)), torch.from_numpy(y)
    images, labels = some(whole, most or None, generator(seed, Stream.EVALUATE, 0))
    return images.to(device), labels.to(device)
