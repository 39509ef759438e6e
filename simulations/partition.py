"""Which samples each device has, through the partitioners of Flower Datasets."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from p2pl_flower import seeding
from p2pl_flower.config import Table
from p2pl_flower.errors import ConfigError

from . import cache

Labels = NDArray[np.int64]


class Scheme(Protocol):
    """A way to share samples out among devices."""

    def partitioner(self, labels: Labels, num_devices: int, seed: int) -> Any:
        """Return the partitioner of Flower Datasets that does it."""


@dataclass(frozen=True)
class Iid:
    """Equal shares of the shuffled samples."""

    def partitioner(self, labels: Labels, num_devices: int, seed: int) -> Any:
        """Return an IidPartitioner."""
        from flwr_datasets.partitioner import IidPartitioner

        return IidPartitioner(num_devices)


@dataclass(frozen=True)
class Linear:
    """Unequal shares of the shuffled samples: device k's is proportional to k + 1."""

    def partitioner(self, labels: Labels, num_devices: int, seed: int) -> Any:
        """Return a LinearPartitioner."""
        from flwr_datasets.partitioner import LinearPartitioner

        return LinearPartitioner(num_devices)


@dataclass(frozen=True)
class Dirichlet:
    """Shares of each class drawn from Dirichlet(alpha, ..., alpha): uneven for a small alpha.

    The split of Yurochkin et al., arXiv 1905.12022.
    """

    alpha: float

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 1e6:
            raise ConfigError("alpha", self.alpha, "must be positive, and 1e6 at most")

    def partitioner(self, labels: Labels, num_devices: int, seed: int) -> Any:
        """Return a DirichletPartitioner that keeps its first draw.

        Asked for a sample on every device it would draw again, ten times, and give up:
        with few samples for many devices no draw has one. `_feed` sees to it instead.
        """
        from flwr_datasets.partitioner import DirichletPartitioner

        return DirichletPartitioner(
            num_devices, "label", self.alpha, min_partition_size=0, shuffle=False, seed=seed
        )


@dataclass(frozen=True)
class Pathological:
    """Samples of ``classes`` classes on each device (Li et al., arXiv 2102.02079)."""

    classes: int

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise ConfigError("classes", self.classes, "must be 1 or more")

    def partitioner(self, labels: Labels, num_devices: int, seed: int) -> Any:
        """Return a PathologicalPartitioner."""
        from flwr_datasets.partitioner import PathologicalPartitioner

        there = len(np.unique(labels))
        if self.classes > there:
            rule = f"must be the dataset's number of classes, {there}, at most"
            raise ConfigError("classes", self.classes, rule)
        mode = "first-deterministic"
        return PathologicalPartitioner(
            num_devices, "label", self.classes, mode, shuffle=False, seed=seed
        )


@dataclass(frozen=True)
class Shards:
    """The samples sorted by label and cut into equal shards, ``shards`` for each device.

    Samples that are left over, fewer than there are shards, are on no device.
    The split of McMahan et al., arXiv 1602.05629.
    """

    shards: int

    def __post_init__(self) -> None:
        if self.shards < 1:
            raise ConfigError("shards", self.shards, "must be 1 or more")

    def partitioner(self, labels: Labels, num_devices: int, seed: int) -> Any:
        """Return a ShardPartitioner."""
        from flwr_datasets.partitioner import ShardPartitioner

        if self.shards * num_devices > len(labels):
            rule = f"times {num_devices} devices must be the {len(labels)} samples at most"
            raise ConfigError("shards", self.shards, rule)
        return ShardPartitioner(num_devices, "label", self.shards, shuffle=False, seed=seed)


SCHEMES: Table[Scheme] = Table(
    "partition",
    {
        "iid": Iid,
        "linear": Linear,
        "dirichlet": Dirichlet,
        "pathological": Pathological,
        "shards": Shards,
    },
)


def partition(
    scheme: str, labels: NDArray[Any], num_devices: int, seed: int
) -> tuple[NDArray[np.int64], ...]:
    """Return the indices of each device's samples, ascending; no two devices share one.

    Parameters
    ----------
    scheme : str
        ``iid``, ``linear``, ``dirichlet:0.3`` (alpha), ``pathological:2`` (classes of a device) or
        ``shards:2`` (shards of a device).
    labels : NDArray
        Label of each sample, shape (samples,).
    num_devices : int
        Number of devices. Each gets one sample at least.
    seed : int
        The run's seed; what is returned is a function of the arguments alone.

    Raises
    ------
    ConfigError
        The scheme is unknown or cannot share these labels out among so many devices.

    Warns
    -----
    UserWarning
        A class is on no device, because there are too few of them for the scheme.
    """
    chosen = SCHEMES.make(scheme)
    labels = np.asarray(labels, dtype=np.int64)
    if not 1 <= num_devices <= len(labels):
        rule = f"must be from 1 to the number of training samples, {len(labels)}"
        raise ConfigError("num-devices", num_devices, rule)
    try:
        parts = _kept(chosen, labels, num_devices, seed)
    except ConfigError as error:
        raise SCHEMES.blame(scheme, error) from None
    except ValueError as error:
        raise ConfigError("partition", scheme, " ".join(str(error).split())) from error
    lost = np.setdiff1d(labels, labels[np.concatenate(parts)]).tolist()
    if lost:
        rule = f"no device has classes {lost}; use more devices, or more classes for each"
        warnings.warn(f"partition={scheme!r}: {rule}", stacklevel=2)
    return tuple(parts)


def _kept(scheme: Scheme, labels: Labels, num_devices: int, seed: int) -> list[Labels]:
    """Keep what `_split` returns: importing Flower Datasets costs each process seconds."""

    def make(_: Path) -> dict[str, NDArray[np.int64]]:
        parts = _split(scheme, labels, num_devices, seed)
        return {"order": np.concatenate(parts), "sizes": np.array([len(part) for part in parts])}

    code = Path(__file__).read_bytes(), version("flwr-datasets")
    digest = hashlib.sha256(labels.tobytes())
    digest.update(repr((scheme, num_devices, seed, *code)).encode())
    try:
        kept = cache.arrays(cache.folder() / "partitions" / digest.hexdigest()[:32], make)
    except OSError:
        return _split(scheme, labels, num_devices, seed)
    return np.split(np.array(kept["order"]), np.cumsum(kept["sizes"])[:-1])


def _split(scheme: Scheme, labels: Labels, num_devices: int, seed: int) -> list[Labels]:
    """Run the scheme on a table of (index, label), shuffled: the partitioners cut in order."""
    with warnings.catch_warnings():  # from inside these two packages; our caller sees to it
        warnings.simplefilter("ignore")
        import datasets

        datasets.disable_progress_bars()
        order = seeding.generator(seed, seeding.Stream.SPLIT).permutation(len(labels))
        stream = seeding.derive(seed, seeding.Stream.SPLIT, 1)
        partitioner = scheme.partitioner(labels, num_devices, stream)
        partitioner.dataset = datasets.Dataset.from_dict({"index": order, "label": labels[order]})
        parts = (partitioner.load_partition(device) for device in range(num_devices))
        indices = [np.asarray(part["index"][:], dtype=np.int64) for part in parts]
    return [np.sort(part) for part in _feed(indices)]


def _feed(parts: list[Labels]) -> list[Labels]:
    """Give every device without a sample one of the device that has most."""
    for empty in (device for device, part in enumerate(parts) if not len(part)):
        richest = max(range(len(parts)), key=lambda device: len(parts[device]))
        parts[empty], parts[richest] = parts[richest][:1], parts[richest][1:]
    return parts
