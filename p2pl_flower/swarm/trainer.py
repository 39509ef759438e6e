"""A round's local training: devices in chunks, chunks on worker threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..seeding import Stream, derive
from .learner import Learner
from .options import TrainOptions
from .samples import Batches, Samples, step_counts
from .stack import Stack, rows_of
from .workers import Ids, Workers, cut


@dataclass(frozen=True)
class Trainer:
    """Trains devices of a stack on their samples.

    Attributes
    ----------
    stack : Stack
        The models.
    samples : Samples
        All devices' samples.
    options : TrainOptions
        Options of local training.
    chunk : int
        Devices that train together, at most.
    seed : int
        Seed of everything.
    """

    stack: Stack
    samples: Samples
    options: TrainOptions
    chunk: int
    seed: int

    def chunk_sizes(self, threads: int) -> list[int]:
        """Return how many devices the chunks have where all devices train."""
        everybody = np.arange(len(self.samples))
        return sorted({len(part) for part in cut(everybody, self.chunk, threads)})

    def train(
        self,
        devices: Ids,
        round_number: int,
        correction: Mapping[str, Tensor],
        workers: Workers[Learner],
    ) -> None:
        r"""Train devices for a round.

        Parameters
        ----------
        devices : NDArray[int64]
            Who trains.
        round_number : int
            The round, from 1.
        correction : Mapping[str, Tensor]
            What the H local steps of a device add in all, 1/H of it each, shape (K, ...); empty
            for nothing.
        workers : Workers
            Threads, each with a learner.
        """
        # Those with the most steps first: the last chunks to end are then short ones.
        steps = step_counts(self.samples.counts[devices], self.options)
        order = devices[np.argsort(-steps, kind="stable")]

        def work(learner: Learner, chunk: Ids) -> None:
            self._train_chunk(learner, chunk, round_number, correction)

        workers.map(work, workers.chunks(order, self.chunk))

    def _train_chunk(
        self, learner: Learner, chunk: Ids, round_number: int, correction: Mapping[str, Tensor]
    ) -> None:
        learner.options = self.options.in_round(round_number)
        batches = Batches(self.samples, chunk, self.options, self.seed, round_number)
        rows = rows_of(chunk)
        model = self.stack.models(rows)
        trained = [name for name in self.stack.trained if name in correction]
        pull = {name: _share(correction[name][rows], batches) for name in trained}
        if learner.draws:
            seed = derive(
                self.seed, Stream.LAYERS, round_number, self.samples.first + int(chunk[0])
            )
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                learner.train(model, batches, pull)
        else:
            learner.train(model, batches, pull)
        if not isinstance(rows, slice):  # the model is a copy then
            for name in self.stack.changing:
                self.stack.tensors[name][rows] = model[name]


def _share(correction: Tensor, batches: Batches) -> Tensor:
    """Return what each step adds: correction / H."""
    steps = torch.from_numpy(batches.steps).to(correction)
    return correction / steps.view(-1, *[1] * (correction.dim() - 1))
