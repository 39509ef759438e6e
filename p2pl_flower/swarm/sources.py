"""Samples as tensors, from what people keep them in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from ..errors import ConfigError
from .nested import Nested, tensors

Pair = tuple[Nested, Tensor]

_LABELS = ("label", "labels", "target", "targets", "y")


def device_samples(data: Any) -> list[Pair]:
    """Return each device's inputs and targets as tensors.

    Parameters
    ----------
    data : sequence, or partitioner
        For each device one of what `samples` takes; or a partitioner of flwr-datasets (anything
        with ``num_partitions`` and ``load_partition``), whose partition k is device k's.

    Raises
    ------
    ConfigError
        There is no device, or it is not plain what its samples are; one sentence about ``data``.
    """
    if hasattr(data, "load_partition"):
        data = [data.load_partition(k) for k in range(int(data.num_partitions))]
    if isinstance(data, Tensor | np.ndarray | str | bytes) or not isinstance(data, Iterable):
        rule = "must hold for each device a pair (x, y) or a dataset"
        raise ConfigError("data", _shown(data), rule)
    pairs = [samples(entry, "data", f"device {k}: ") for k, entry in enumerate(data)]
    if not pairs:
        raise ConfigError("data", data, "must hold (x, y) for at least one device")
    return pairs


def samples(given: Any, argument: str, where: str = "") -> Pair:
    """Return inputs, shape (n, ...), and targets, shape (n, ...), as tensors.

    Parameters
    ----------
    given : pair or dataset
        ``(x, y)`` of tensors, arrays or lists; a dataset of PyTorch's whose items are pairs, or
        dictionaries with a label; ``(dataset, indices)``; a dataset of Hugging Face's, or
        ``(dataset, x, y)`` with the names of its columns. PIL images become float32 in [0, 1]
        with the channels first. Of several inputs, x is a dictionary or a tuple, and the names
        of several columns are a list.
    argument, where : str
        What it is called in errors, and what comes before the rule.

    Raises
    ------
    ConfigError
        It is none of these, or its targets are not as many as its inputs.
    """
    if isinstance(given, tuple | list) and len(given) == 3 and _has_columns(given[0]):
        x, y = _of_columns(given[0], given[1], given[2], argument, where)
    elif isinstance(given, tuple | list) and len(given) == 2:
        x, y = _of_pair(given[0], given[1], argument, where)
    elif _has_columns(given):
        x, y = _of_columns(given, *_columns(given, argument, where), argument, where)
    elif hasattr(given, "__getitem__") and hasattr(given, "__len__"):
        x, y = _of_dataset(given, argument, where)
    else:
        rule = f"{where}must be a pair (x, y) or a dataset that has a length and items"
        raise ConfigError(argument, _shown(given), rule)
    counts = [len(part) if part.dim() else 0 for part in (*tensors(x), y)]
    if not all(counts) or len(set(counts)) > 1:
        rule = f"{where}must have as many labels as inputs, and one at least"
        raise ConfigError(argument, tuple(counts), rule)
    return x, y


def _of_pair(first: Any, second: Any, argument: str, where: str) -> Pair:
    if _has_columns(first):
        rows = first.select([int(k) for k in second])
        x, y = samples(rows, argument, where)
        return x, y
    if isinstance(first, Dataset):
        return _of_dataset(Subset(first, [int(k) for k in second]), argument, where)
    y = _tensor(second, argument, where)
    return _inputs(first, len(y) if y.dim() else 0, argument, where), y


def _inputs(given: Any, count: int, argument: str, where: str) -> Nested:
    """Return the inputs of ``count`` samples: several, where that is plainly what is given."""
    several = isinstance(given, tuple) and len(given) != count
    if several and all(isinstance(part, Tensor | np.ndarray) for part in given):
        return tuple(_tensor(part, argument, where) for part in given)
    if isinstance(given, Mapping):
        return {str(name): _tensor(part, argument, where) for name, part in given.items()}
    return _tensor(given, argument, where)


def _of_columns(dataset: Any, x: Any, y: Any, argument: str, where: str) -> Pair:
    """Return columns of a dataset of Hugging Face's; several inputs by their names."""
    names = [x] if isinstance(x, str) else list(x)
    if missing := [name for name in (*names, y) if name not in dataset.column_names]:
        rule = f"{where}there is no such column"
        raise ConfigError(argument, missing[0], rule, dataset.column_names)
    found = {name: _tensor(dataset[name], argument, where) for name in names}
    return found[x] if isinstance(x, str) else found, _tensor(dataset[y], argument, where)


def _of_dataset(dataset: Any, argument: str, where: str) -> Pair:
    """Return the items of a map-style dataset, put together."""
    if isinstance(dataset, IterableDataset):
        rule = f"{where}must have a length and items; make a list of what it yields"
        raise ConfigError(argument, _shown(dataset), rule)
    whole = dataset.dataset if isinstance(dataset, Subset) else dataset
    if isinstance(whole, TensorDataset) and len(whole.tensors) == 2:
        index = torch.as_tensor(dataset.indices) if isinstance(dataset, Subset) else slice(None)
        return whole.tensors[0][index], whole.tensors[1][index]
    items = [dataset[k] for k in range(len(dataset))]
    pairs = [_pair(item) for item in items]
    wrong = [k for k, pair in enumerate(pairs) if pair is None]
    if wrong:
        rule = f"{where}items must be pairs (x, y), or dictionaries with one label, but item "
        raise ConfigError(argument, _shown(items[wrong[0]]), f"{rule}{wrong[0]} is none")
    first, second = ([pair[part] for pair in pairs if pair] for part in (0, 1))
    return _collated(first, argument, where), _tensor(second, argument, where)


def _pair(item: Any) -> tuple[Any, Any] | None:
    """Return an item's inputs and target, if it is plain which they are."""
    if isinstance(item, Mapping):
        labels = [name for name in item if name in _LABELS]
        rest = {name: part for name, part in item.items() if name not in labels}
        return (rest, item[labels[0]]) if len(labels) == 1 and rest else None
    return (item[0], item[1]) if isinstance(item, tuple | list) and len(item) == 2 else None


def _collated(items: list[Any], argument: str, where: str) -> Nested:
    """Return the inputs of items put together: those of several inputs one by one."""
    if isinstance(items[0], Mapping) and all(i.keys() == items[0].keys() for i in items):
        return {k: _tensor([item[k] for item in items], argument, where) for k in items[0]}
    several = isinstance(items[0], tuple) and any(np.ndim(part) for part in items[0])
    if several and all(len(item) == len(items[0]) for item in items):
        parts = zip(*items, strict=True)
        return tuple(_tensor(list(part), argument, where) for part in parts)
    return _tensor(items, argument, where)


def _has_columns(given: Any) -> bool:
    """Tell whether it is a dataset of Hugging Face's."""
    return hasattr(given, "column_names") and hasattr(given, "features")


def _columns(dataset: Any, argument: str, where: str) -> tuple[str, str]:
    """Return the names of the columns with the inputs and with the targets."""
    names = list(dataset.column_names)
    kinds = {name: type(dataset.features[name]).__name__ for name in names}
    labels = [n for n in names if kinds[n] == "ClassLabel"] or [n for n in names if n in _LABELS]
    if len(labels) != 1 or len(names) != 2:
        rule = f"{where}it is not plain which columns are inputs and targets; give "
        rule += "(dataset, 'inputs', 'targets') with the names of two of them, or a list of names "
        rule += "for several inputs"
        raise ConfigError(argument, names, rule)
    [inputs] = [name for name in names if name != labels[0]]
    return inputs, labels[0]


def _tensor(value: Any, argument: str, where: str) -> Tensor:
    """Return what a user gave as a tensor; the items of a list are put together."""
    try:
        if isinstance(value, Tensor):
            return value.detach()
        if isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value):
            return _together(value)
        array = np.asarray(value)
        if not array.flags.writeable:
            array = array.copy()
        return torch.as_tensor(array)
    except (TypeError, ValueError, RuntimeError) as error:
        message = " ".join(str(error).split())[:120]
        rule = f"{where}must be numbers, of the same shape for each sample ({message})"
        raise ConfigError(argument, _shown(value), rule) from None


def _together(items: Sequence[Any]) -> Tensor:
    """Return a list's items as one tensor."""
    if isinstance(items[0], Tensor):
        return torch.stack([item.detach() for item in items])
    if hasattr(items[0], "getbands"):
        return torch.stack([_image(item) for item in items])
    return torch.as_tensor(np.stack([np.asarray(item) for item in items]))


def _image(picture: Any) -> Tensor:
    """Return a PIL image as float32 in [0, 1], shape (channels, height, width)."""
    pixels = np.array(picture)
    channels = torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).movedim(2, 0)
    return channels.float() / 255 if pixels.dtype == np.uint8 else channels.float()


def _shown(value: Any) -> str:
    """Return a short description for errors: samples themselves would fill screens."""
    shape = getattr(value, "shape", None)
    return type(value).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")
