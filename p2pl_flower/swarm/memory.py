"""What a run needs of memory, worked out before it begins, and what there is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ..errors import ConfigError
from .options import Machine

_CACHE_BYTES = 16 << 20
_CACHE_SHARE = 0.75
_GPU_SHARE = 0.5
_CACHE_MOST = 96 << 20
"""A larger cache serves many cores, most of them not this machine's where that is virtual."""
_LEAST, _LEAST_BYTES = 16, 40 << 20
"""Devices that are to share what calling PyTorch costs; fewer where each takes long by itself."""

_CGROUP = Path("/sys/fs/cgroup")
_LARGEST_CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")


@dataclass(frozen=True)
class Needs:
    """What a run needs beside its data.

    Attributes
    ----------
    models, algorithm, training, kept, mixing : int
        Bytes of all devices' models, of what the algorithm keeps beside them, of what trains, or is
        scored, at the same time, of what training keeps from round to round, and of what is mixed
        at the same time: threads' memory for one is not free for the other.
    """

    models: int
    algorithm: int
    training: int
    kept: int = 0
    mixing: int = 0

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.models + self.algorithm + self.training + self.kept + self.mixing

    def check(self, machine: Machine, free: int | None = None) -> None:
        """Refuse a run that does not fit.

        Parameters
        ----------
        machine : Machine
            Where it runs.
        free : int or None
            Bytes that are free there; looked up if None.

        Raises
        ------
        ConfigError
            Gives what each part needs, and what is free.
        """
        free = available(machine) if free is None else free
        if free is None or self.total <= free:
            return
        parts = ", ".join(f"{name} {_gib(size)}" for name, size in asdict(self).items() if size)
        rule = f"needs {_gib(self.total)} ({parts}), but {_gib(free)} are free; "
        rule += "use fewer devices, a smaller model, algorithm p2pl or a smaller chunk"
        raise ConfigError("torch-device", machine.torch_device, rule)


def available(machine: Machine) -> int | None:
    """Return the bytes that are free on the machine's device; None where nothing tells."""
    if not machine.is_cpu:
        return torch.cuda.mem_get_info(machine.torch_device)[0]
    limits = [_meminfo(), _cgroup()]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def pick_chunk(machine: Machine, each: int, devices: int) -> int:
    """Return how many devices train together: what was set, or what suits the machine.

    On a CPU, what the workers have at hand is to fit into the cache, but a step's own cost,
    that of calling PyTorch, is to be shared by `_LEAST` devices, or as many as have
    `_LEAST_BYTES` to work on: with more of them, that cost is lost in the work.

    Parameters
    ----------
    machine : Machine
        Where it runs.
    each : int
        Bytes that a device which trains works on, its model among them.
    devices : int
        Devices that train in a round, at most.
    """
    if machine.chunk is not None:
        return min(machine.chunk, devices)
    if machine.is_cpu:
        fitting = int(min(_cache(), _CACHE_MOST) * _CACHE_SHARE) // (machine.threads * each)
        least = min(_LEAST, max(1, _LEAST_BYTES // each))
        return min(max(least, fitting), devices)
    fitting = int((available(machine) or 0) * _GPU_SHARE) // each
    return max(1, min(fitting, devices))


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kilobytes[0]) * 1024 if kilobytes else None


def _cgroup() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="utf-8").strip()
        used = (_CGROUP / "memory.current").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return None if limit == "max" else int(limit) - int(used)


def _cache() -> int:
    """Return the size of the last-level cache in bytes."""
    try:
        text = _LARGEST_CACHE.read_text(encoding="utf-8").strip()
        return int(text.rstrip("KM")) << {"K": 10, "M": 20}[text[-1]]
    except (OSError, KeyError, ValueError):
        return _CACHE_BYTES


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
