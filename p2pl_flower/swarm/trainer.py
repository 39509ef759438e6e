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
from .workers import Ids, Workers


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

    def train(
        self,
        devices: Ids,
        round_number: int,
        drift: Mapping[str, Tensor],
        workers: Workers[Learner],
    ) -> None:
        r"""Train devices for a round.

        Parameters
        ----------
        devices : NDArray[int64]
            Who trains.
        round_number : int
            The round, from 1.
        drift : Mapping[str, Tensor]
            :math:`D_k = \sum_j a_{kj} (w_j - w_k)` of each device's last consensus step,
            shape (K, ...); empty for none.
        workers : Workers
            Threads, each with a learner.
        """
        # Those with the most steps first: the last chunks to end are then short ones.
        steps = step_counts(self.samples.counts[devices], self.options)
        order = devices[np.argsort(-steps, kind="stable")]

        def work(learner: Learner, chunk: Ids) -> None:
            self._train_chunk(learner, chunk, round_number, drift)

        workers.map(work, workers.chunks(order, self.chunk))

    def _train_chunk(
        self, learner: Learner, chunk: Ids, round_number: int, drift: Mapping[str, Tensor]
    ) -> None:
        learner.options = self.options.in_round(round_number)
        batches = Batches(self.samples, chunk, self.options, self.seed, round_number)
        rows = rows_of(chunk)
        model = self.stack.models(rows)
        pull = {name: self._pull(drift[name][rows], batches) for name in drift}
        if learner.draws:
            seed = derive(self.seed, Stream.LAYERS, round_number, int(chunk[0]))
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                learner.train(model, batches, pull)
        else:
            learner.train(model, batches, pull)
        if not isinstance(rows, slice):  # the model is a copy then
            for name in self.stack.trained:
                self.stack.tensors[name][rows] = model[name]

    def _pull(self, drift: Tensor, batches: Batches) -> Tensor:
        """Return what each step adds: affinity * drift / H."""
        share = torch.from_numpy(self.options.affinity / batches.steps).to(drift)
        return drift * share.view(-1, *[1] * (drift.dim() - 1))
