"""Inner products of samples, which are the same in all rounds."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from ..products import linear
from ..samples import Batches, Samples
from ..workspace import Workspace

GRAM_BYTES = 1 << 30
"""Inner products are kept from round to round, for as many devices as this holds."""


class Grams:
    """Each device's inner products of its flattened inputs, made when they are first needed.

    Parameters
    ----------
    samples : Samples
        All devices' samples.

    Attributes
    ----------
    nbytes : int
        Size of what is kept.
    """

    def __init__(self, samples: Samples) -> None:
        self.nbytes = 0
        self._samples, self._kept = samples, dict[int, Tensor]()
        self._lock = threading.Lock()

    @staticmethod
    def most(samples: Samples) -> int:
        """Return the bytes that will be kept in the end, at most."""
        whole = int((samples.counts**2).sum()) * int(samples.x.element_size())
        return min(whole, GRAM_BYTES)

    def of_device(self, device: int) -> Tensor:
        """Return a device's inner products, shape (n_k, n_k)."""
        if device in self._kept:
            return self._kept[device]
        x = self._samples.inputs(device)
        gram = linear(x, x)
        with self._lock:
            if self.nbytes + gram.nbytes <= GRAM_BYTES:
                self._kept[device] = gram
                self.nbytes += gram.nbytes
        return gram

    def of_steps(self, batches: Batches, space: Workspace) -> Tensor:
        """Return the inner products of the inputs of all steps, (C, H * width, H * width)."""
        size = batches.order.shape[1]
        grams = space.empty("gram", (len(batches.order), size, size), self._samples.x)
        devices = batches.devices.tolist()
        for gram, place, device in zip(grams, batches.order, devices, strict=True):
            whole = self.of_device(device)
            rows = space.empty("gram rows", (size, len(whole)), whole)
            torch.index_select(whole, 0, place, out=rows)
            torch.index_select(rows, 1, place, out=gram)
        return grams
