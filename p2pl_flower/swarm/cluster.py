"""A swarm on several machines or GPUs: a block of devices on each node of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..algorithms.codecs import size_of
from ..config import Rule, at_least, check_fields, described, option
from ..errors import ConfigError, P2PLError
from ..named_arrays import Layout
from ..seeding import Stream, derive
from .block import Values
from .common import Common
from .drawing import draw
from .hooks import Hooks
from .initial import Initial, set_initial
from .job import Job
from .mixing import Mixing
from .nodes import Place, connected, places_for, start
from .options import Machine
from .sources import device_samples
from .stack import Stack
from .traffic import HAVE, Traffic
from .workers import Ids


@described
@dataclass(frozen=True)
class RayCluster(Machine):
    """The nodes of a Ray cluster: devices in blocks, which exchange what crosses between them.

    It gives the numbers of one machine, but for rounding and for the draws of random layers. With
    ``torch_device="cuda"`` a block is on a GPU, and a machine with several GPUs has as many.
    """

    address: str = option(
        "auto", rule=Rule("HOST:PORT, or 'auto'", bool), help="the cluster's, `auto` for this one's"
    )
    blocks: int | None = option(
        None, rule=at_least(1), help="how many; None is one for each node with CPUs, or each GPU"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.torch_device not in ("cpu", "cuda"):
            rule = "Ray gives each block a GPU of its own; say 'cuda'"
            raise ConfigError("torch-device", self.torch_device, rule)

    def one_node(self, place: Place) -> Machine:
        """Return what a block runs on."""
        own = {f.name: getattr(self, f.name) for f in fields(Machine)}
        workers = self.workers or (place.cpus if self.is_cpu else None)
        return Machine(**{**own, "workers": workers})


class Blocks:
    """All devices of a run, in blocks on the nodes of a Ray cluster; does what `Block` does.

    A consensus step moves, from block to block, the messages that devices there hear, and each
    once.

    Parameters
    ----------
    job, common
        As for `Block`.

    Attributes
    ----------
    one : Stack
        The model of one device, without its values.

    Raises
    ------
    ConfigError
        There is no such cluster, or as `Block` does.
    """

    torch_device = "cpu"

    def __init__(self, job: Job, common: Common) -> None:
        machine = job.machine
        if not isinstance(machine, RayCluster):
            raise ConfigError("machine", machine, "must be a RayCluster")
        self._ray, self._job, self._common = connected(machine.address), job, common
        data = device_samples(job.data)
        self.samples: Ids = np.array([len(y) for _, y in data], dtype=np.int64)
        self._template = draw(job.model, derive(common.seed, Stream.INIT, 0))
        self.one = Stack(self._template, 1, "meta", common.shared)
        places = places_for(self._ray, machine)[: len(data)]
        shares = np.array_split(np.arange(len(data)), len(places))
        self._firsts = [int(share[0]) for share in shares]
        self._counts = [len(share) for share in shares]
        self._traffic = Traffic(common.coder, common.seed, len(data))
        self._actors = [start(self._ray, place) for place in places]
        rest = replace(job, on_round=None, checkpoint=None, progress=False, initial=None)
        made = [
            actor.make.remote(
                replace(rest, data=data[first : first + count], machine=machine.one_node(place)),
                common,
                first,
            )
            for actor, place, (first, count) in zip(
                self._actors, places, self._places(), strict=True
            )
        ]
        self.path: str = self._get(made)[0]

    @property
    def devices(self) -> int:
        """How many there are."""
        return len(self.samples)

    @property
    def message_bytes(self) -> int:
        """Size in bytes of what one device sends in a consensus step."""
        return size_of(self._message_layout())

    def _message_layout(self) -> Layout:
        found: Layout = self._get([self._actors[0].call.remote("message_layout")])[0]
        return found

    @property
    def stack(self) -> Stack:
        """All models, brought here."""
        stack = Stack(self._template, self.devices, "cpu", self._common.shared)
        stack.restore(self.state())
        return stack

    def __enter__(self) -> Blocks:
        self._all("open")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._all("close")

    def draw(self, seeds: Sequence[int]) -> NDArray[np.float64]:
        """Draw all models; return the norms that synchronization compares."""
        return np.concatenate(self._all("draw", seeds))

    def follow(self, seeds: Sequence[int], origins: Ids) -> None:
        """Give each device the tensors that ``origins``, shape (K, G), drew."""
        self._each("follow", [(seeds, part) for part in self._parts(origins)])

    def set_initial(self, given: Initial) -> None:
        """Set all models to what was given."""
        stack = Stack(self._template, self.devices, "cpu", self._common.shared)
        set_initial(stack, given)
        self._each("set_models", [(part,) for part in self._cut(stack.tensors)])

    def begin(self) -> None:
        """Make what the algorithm keeps before the first training."""
        self._all("begin")
        if self._traffic.counts_copies:
            self._traffic.begin(np.concatenate(self._all("digests")))

    def train(self, devices: Ids, number: int) -> None:
        """Let devices train for a round, and make their messages."""
        self._each("train", [(own, number) for own in self._own(devices)])

    def mix(self, mixings: Iterable[Mixing]) -> Ids:
        """Make a round's consensus steps; return how many bytes each device has sent."""
        common, layout = self._common, self._message_layout()
        sent = np.zeros(self.devices, dtype=np.int64)
        hooks = Hooks(common.algorithm, self.one, common.mixing, common.coder)
        for mixing in hooks.steps(mixings):
            self._step(mixing)
            sent += self._traffic.of(mixing, layout)
        return sent

    def values(self, devices: Ids) -> Values | None:
        """Return the scores of devices' models on the test set; None where there is none."""
        if self._job.test is None or not self._job.evaluate_every:
            return None
        found = self._each("values", [(own,) for own in self._own(devices)])
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def consensus_distance(self) -> float:
        """Return how far models are from their mean."""
        reference = self._get([self._actors[0].call.remote("model", 0)])[0]
        found = self._all("moments", {name: reference[name] for name in self.one.mixed})
        squares = sum(part for _, part in found)
        for name in self.one.mixed:
            mean = torch.stack([sums[name] for sums, _ in found]).sum(0) / self.devices
            squares -= self.devices * float(mean.square().sum())
        return float(np.sqrt(max(squares, 0.0) / self.devices))

    def wait(self) -> None:
        """Do nothing: whatever blocks answer has been done."""

    def state(self) -> dict[str, Tensor]:
        """Return all that a checkpoint needs, brought here."""
        found = self._all("state")
        names = dict.fromkeys(name for part in found for name in part if name != HAVE)
        joined = {name: self._joined(name, found) for name in names}
        return {**joined, **self._traffic.tensors()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` returned."""
        self._each("restore", [(part,) for part in self._cut(tensors)])
        self._traffic.restore(tensors)

    def _step(self, mixing: Mixing) -> None:
        """Move what is heard elsewhere, and let every block make its part of the step."""
        parts = [mixing.part(first, count) for first, count in self._places()]
        if not self._common.coder.is_exact:
            self._each("send", [(step,) for step, _ in parts])
        moved = [
            [
                self._actors[source].call.remote("messages", own)
                for source, own in enumerate(self._own(others))
                if len(own)
            ]
            for _, others in parts
        ]  # all are asked before any block mixes, for each does one thing after the other
        done = [
            actor.call.remote("mix_part", step, *heard)
            for actor, (step, _), heard in zip(self._actors, parts, moved, strict=True)
        ]
        self._get(done)

    def _places(self) -> Iterable[tuple[int, int]]:
        return zip(self._firsts, self._counts, strict=True)

    def _parts(self, values: Ids) -> list[Ids]:
        """Cut an array with the devices as leading axis."""
        return [values[first : first + count] for first, count in self._places()]

    def _own(self, devices: Ids) -> list[Ids]:
        """Return, for each block, which of some devices are its own, by their places there."""
        return [
            devices[(devices >= first) & (devices < first + count)] - first
            for first, count in self._places()
        ]

    def _cut(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        return [
            {name: tensor[first : first + count] for name, tensor in tensors.items()}
            for first, count in self._places()
        ]

    def _joined(self, name: str, parts: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """Put the blocks' tensors together; zeros where none of a block's has trained yet."""
        known = next(part[name] for part in parts if name in part)
        return torch.cat(
            [
                part[name] if name in part else known.new_zeros(count, *known.shape[1:])
                for part, count in zip(parts, self._counts, strict=True)
            ]
        )

    def _all(self, method: str, *arguments: Any) -> list[Any]:
        return self._each(method, [arguments] * len(self._actors))

    def _each(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        pairs = zip(self._actors, arguments, strict=True)
        return self._get([actor.call.remote(method, *own) for actor, own in pairs])

    def _get(self, references: Sequence[Any]) -> list[Any]:
        """Wait for answers; an error of ours is raised as it was raised there."""
        try:
            answers: list[Any] = self._ray.get(list(references))
            return answers
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, P2PLError):
                raise error.cause from None
            raise
