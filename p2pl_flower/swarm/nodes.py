"""The nodes of a Ray cluster, and the process on each that holds a block of devices."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from ..errors import ConfigError

if TYPE_CHECKING:
    from .block import Block
    from .cluster import RayCluster
    from .common import Common
    from .job import Job


class Place(NamedTuple):
    """Where a block is: a node's name in Ray, and how many of its CPUs and GPUs are the block's."""

    node: str
    cpus: int
    gpus: int


class BlockActor:
    """A block of devices in a process of its own, which Ray starts."""

    block: Block

    def make(self, job: Job, common: Common, first: int) -> str:
        """Make the block; return how its devices train."""
        from .block import Block

        self.block = Block(job, common, first)
        return self.block.path

    def open(self) -> None:
        """Start the block's workers."""
        self.block.__enter__()

    def close(self) -> None:
        """End the block's workers."""
        self.block.__exit__(None, None, None)

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the block, or one of these."""
        return getattr(self if hasattr(self, method) else self.block, method)(*arguments)

    def model(self, device: int) -> dict[str, Tensor]:
        """Return a device's model."""
        return {name: t.cpu().clone() for name, t in self.block.stack.model(device).items()}

    def set_models(self, tensors: Mapping[str, Tensor]) -> None:
        """Set the models."""
        self.block.stack.restore(tensors)


def connected(address: str) -> Any:
    """Return Ray, connected to a cluster if it is to none yet.

    Raises
    ------
    ConfigError
        Ray is not installed, or there is no such cluster.
    """
    try:
        import ray
    except ImportError:
        rule = "needs ray: pip install 'p2pl-flower[simulation]'"
        raise ConfigError("machine", "RayCluster", rule) from None
    if not ray.is_initialized():
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            rule = f"no Ray cluster answers there: {str(error).splitlines()[0]}"
            raise ConfigError("address", address, rule) from None
    return ray


def places_for(ray: Any, machine: RayCluster) -> list[Place]:
    """Return where blocks go: one to each node, or each GPU, unless their number is given.

    Raises
    ------
    ConfigError
        The cluster has no CPUs, or fewer GPUs than blocks.
    """
    nodes = [(n["NodeID"], n["Resources"]) for n in ray.nodes() if n["Alive"]]
    kind = "CPU" if machine.is_cpu else "GPU"
    room = [(name, int(has.get(kind, 0)), int(has.get("CPU", 0))) for name, has in nodes]
    room = [each for each in room if each[1]]
    most = sum(count for _, count, _ in room)
    blocks = machine.blocks or (len(room) if machine.is_cpu else most)
    if not room or blocks > most:
        raise ConfigError("blocks", blocks, f"must be at most the cluster's {most} {kind}s")
    taken = [0] * len(room)
    for number in range(blocks):
        free = [i for i, (_, count, _) in enumerate(room) if taken[i] < count]
        taken[min(free, key=lambda i: (taken[i], number))] += 1
    return [
        Place(name, max(1, cpus // times), 0 if machine.is_cpu else 1)
        for (name, _, cpus), times in zip(room, taken, strict=True)
        for _ in range(times)
    ]


def start(ray: Any, place: Place) -> Any:
    """Start a block's process on its node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(place.node, soft=False)
    paths = {"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}}
    actor = ray.remote(BlockActor).options(
        scheduling_strategy=there,
        runtime_env=paths,
        num_cpus=0 if place.gpus else place.cpus,
        num_gpus=place.gpus,
    )
    return actor.remote()
