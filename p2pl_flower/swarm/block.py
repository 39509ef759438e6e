"""Devices whose models lie in one place, where they are trained, mixed and scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..algorithms.codecs import size_of
from ..named_arrays import Layout
from ..seeding import Stream, derive, generator
from . import privacy
from .algorithm_memory import extra_bytes
from .common import Common
from .compiled import compile_steps, compiling
from .drawing import Draws, draw
from .hooks import Hooks
from .initial import Initial, set_initial
from .job import Job
from .learner import Learner
from .mapping import learner_for
from .memory import Needs, pick_chunk
from .mixing import MIXING_BYTES, Mixing, consensus_distance
from .options import PRECISIONS
from .samples import Samples
from .scored import some
from .scoring import Scoring
from .sending import digests
from .sources import samples
from .stack import Stack
from .traffic import Traffic
from .trainer import Trainer
from .workers import Ids, Workers

Values = dict[str, NDArray[np.float64]]
"""What is measured of each of several devices, by name."""


class Block:
    """Some or all devices of a run, in this process; a context manager while they work.

    Devices are named by their places in the block.

    Parameters
    ----------
    job : Job
        What is trained; its data are those of these devices.
    common : Common
        What they have in common with all others.
    first : int
        Which device of the run is the block's first: what a device draws follows from this.

    Attributes
    ----------
    stack, one : Stack
        The models, and those of one device without their values.
    learners : Learners
        How devices train.
    compile_seconds : float
        What compiling the steps took; 0 where they are not compiled.
    needs : Needs
        What was worked out of the memory that is needed beside the data.

    Raises
    ------
    ConfigError
        Options do not fit each other, the module cannot be mapped over devices, or the
        block does not fit into memory.
    LayoutError
        A tensor is of a type that cannot be mixed.
    """

    def __init__(self, job: Job, common: Common, first: int = 0) -> None:
        machine, self.compile_seconds = job.machine, 0.0
        self._job, self._common, self._first = job, common, first
        self._samples = Samples(job.data, machine.torch_device, first)
        template = draw(job.model, derive(common.seed, Stream.INIT, 0)).to(machine.torch_device)
        self.learners = learner_for(template, job.training, self._samples, machine.path)
        self._threads = 1 if self.learners.draws else machine.threads
        self._scoring = self._test()
        chunk = self._fit(template)
        self.stack = Stack(template, self.devices, machine.torch_device, common.shared)
        self.stack.check_types()
        self._traffic = Traffic(common.coder, common.seed, self.devices)
        self._hooks = Hooks(
            common.algorithm,
            self.stack,
            common.mixing,
            common.coder,
            common.seed,
            common.hostile,
        )
        self._trainer = Trainer(self.stack, self._samples, job.training, chunk, common.seed)
        self._workers: Workers[Learner] | None = None
        if machine.compile:
            compiling(self.learners, ())  # refuses what cannot be

    @property
    def devices(self) -> int:
        """How many there are."""
        return len(self._samples)

    @property
    def samples(self) -> Ids:
        """How many training samples each device has, shape (K,)."""
        return self._samples.counts

    @property
    def torch_device(self) -> str:
        """Where the tensors lie."""
        return self._job.machine.torch_device

    @property
    def message_bytes(self) -> int:
        """Size in bytes of what one device sends in a consensus step."""
        return size_of(self._hooks.layout)

    def message_layout(self) -> Layout:
        """Return shapes and dtypes of what one device mixes in a consensus step."""
        return self._hooks.layout

    def __enter__(self) -> Block:
        keep = self._job.machine.keep_memory
        if not self._job.machine.compile:
            self._workers = Workers(self.learners.make, self._threads, keep)
            return self
        sizes = self._trainer.chunk_sizes(self._threads)
        self._workers = Workers(compiling(self.learners, sizes), self._threads, keep)
        try:
            self.compile_seconds = compile_steps(
                self._workers, self._samples, self._job.training, sizes
            )
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def draw(self, seeds: Sequence[int]) -> NDArray[np.float64]:
        """Draw the devices' models; return the norms that synchronization compares.

        Parameters
        ----------
        seeds : sequence of int
            Those of all devices of the run, or the one from which all start.
        """
        own = seeds[self._first :][: self.devices] if len(seeds) > 1 else seeds
        return Draws(self.stack, self._job.model, own).norms(self._common.scope, self._pool.do)

    def follow(self, seeds: Sequence[int], origins: Ids) -> None:
        """Give each device the tensors that ``origins``, shape (K, G), drew."""
        Draws(self.stack, self._job.model, seeds).give(origins, self._pool.do)

    def set_initial(self, given: Initial) -> None:
        """Set all models to what was given."""
        set_initial(self.stack, given)

    def begin(self) -> None:
        """Make what the algorithm keeps before the first training."""
        self._hooks.start(self._first, self._common.devices)
        if self._traffic.counts_copies:
            self._traffic.begin(self.digests())

    def digests(self) -> Ids:
        """Return a number for each device's model: equal for equal models."""
        mixed = {name: self.stack.tensors[name] for name in self.stack.mixed}
        return digests(mixed, self.devices)

    def train(self, devices: Ids, number: int) -> None:
        """Let devices train for a round, and make their messages."""
        common, correction = self._common, self._hooks.before_training(devices)
        begun = privacy.begun(common.privacy, self.stack)
        self._trainer.train(devices, number, correction, self._pool)
        del correction
        place = self._first, common.seed, number
        privacy.apply(common.privacy, self.stack, begun, devices, *place, self._pool.do)
        self._hooks.after_training(devices)

    def mix(self, mixings: Iterable[Mixing]) -> Ids:
        """Make a round's consensus steps; return how many bytes each device has sent."""
        sent = np.zeros(self.devices, dtype=np.int64)
        for mixing in self._hooks.steps(mixings):
            self._hooks.send(mixing)
            self._hooks.mix(mixing, self._pool.do)
            sent += self._traffic.of(mixing, self._hooks.layout)
        return sent

    def send(self, mixing: Mixing) -> None:
        """Encode what devices send in a step of which this is the block's part."""
        self._hooks.send(mixing)

    def messages(self, devices: Ids) -> dict[str, Tensor]:
        """Return what devices have sent, for those in other blocks that hear them."""
        return self._hooks.messages(devices)

    def mix_part(self, mixing: Mixing, *parts: Mapping[str, Tensor]) -> None:
        """Make a consensus step with what devices in other blocks have sent.

        Parameters
        ----------
        mixing : Mixing
            The block's part of the step (see `Mixing.part`).
        *parts : Mapping[str, Tensor]
            Of one other block after another, what is heard from there.
        """
        where = self.torch_device
        names = parts[0] if parts else ()
        beside = {n: torch.cat([part[n].to(where) for part in parts]) for n in names}
        self._hooks.mix(mixing, self._pool.do, beside)

    def moments(self, reference: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], float]:
        """Return the sum, and the sum of squares, of the models less a reference, in double."""
        sums: dict[str, Tensor] = {}
        squares = 0.0
        for name, tensor in reference.items():
            own = self.stack.tensors[name]
            apart = own.double() - tensor.to(own.device).double()
            sums[name] = apart.sum(0).cpu()
            squares += float(apart.square().sum())
        return sums, squares

    def values(self, devices: Ids) -> Values | None:
        """Return the scores of devices' models on the test set; None where there is none."""
        if self._scoring is None:
            return None
        return self._scoring.values(self.stack, devices, self._pool)

    def consensus_distance(self) -> float:
        """Return how far honest models are from their mean (see `mixing.consensus_distance`)."""
        honest = self._common.hostile.honest(np.arange(self.devices))
        return consensus_distance(self.stack, self._pool.do, honest)

    @property
    def path(self) -> str:
        """How the devices train."""
        return self.learners.path

    def wait(self) -> None:
        """Wait until what was begun on a GPU has been done."""
        if not self._job.machine.is_cpu:
            torch.cuda.synchronize(self._job.machine.torch_device)

    def state(self) -> dict[str, Tensor]:
        """Return all that a checkpoint needs."""
        kept = {f"{_KEPT}{name}": tensor for name, tensor in self._hooks.tensors().items()}
        if self.learners.states is not None:
            states = self.learners.states.to_tensors()
            kept |= {f"{_OPTIMIZERS}{name}": tensor for name, tensor in states.items()}
        return {**self.stack.tensors, **kept, **self._traffic.tensors()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` returned."""
        self.stack.restore(tensors)
        self._hooks.restore(_under(_KEPT, tensors))
        self._traffic.restore(tensors)
        if self.learners.states is not None:
            self.learners.states.load(_under(_OPTIMIZERS, tensors))

    @property
    def _pool(self) -> Workers[Learner]:
        if self._workers is None:
            raise RuntimeError("the block is used outside of its with statement")
        return self._workers

    def _test(self) -> Scoring | None:
        """Make the test set ready, if models are ever scored."""
        job = self._job
        if job.test is None or not job.evaluate_every:
            return None
        precision = PRECISIONS[job.evaluate_precision]
        torch_device = job.machine.torch_device
        draw = generator(self._common.seed, Stream.EVALUATE, 0)
        test = some(samples(job.test, "test"), job.max_test_samples, draw)
        return Scoring(test, self.learners.make(), torch_device, precision, job.metrics)

    def _fit(self, template: nn.Module) -> int:
        """Return the devices in a chunk; refuse what does not fit into memory."""
        common, machine = self._common, self._job.machine
        self.one = one = Stack(template, 1, "meta", common.shared)
        footprint, two = self.learners.footprint, Stack(template, 2, "meta", common.shared)
        once = two.once_bytes  # one device has nothing in common with others
        own = (two.nbytes - once) // 2
        sent = common.mixing, common.coder
        extra = extra_bytes(common.algorithm, one, *sent, common.devices)
        extra += one.model_bytes if common.privacy.is_private else 0
        extra += one.model_bytes * common.copies
        chunk = pick_chunk(machine, own + footprint.each, self.devices)
        together = min(self.devices, chunk * self._threads)
        scoring = 0 if self._scoring is None else self._threads * self._scoring.worker_bytes
        self.needs = Needs(
            models=once + self.devices * own,
            algorithm=self.devices * extra,
            training=max(footprint.training(together, self._threads), scoring),
            kept=footprint.kept,
            mixing=min(self.devices * own, self._threads * MIXING_BYTES),
        )
        self.needs.check(machine)
        return chunk


_KEPT = "kept by the algorithm: "
_OPTIMIZERS = "kept by the optimizers: "


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
