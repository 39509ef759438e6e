"""What every codec is: a device's message as fewer bytes, and back."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ...named_arrays import Layout, check_real_layout, layout
from ..base import Arrays
from .array_functions import cast, dtype_name


class StepKey(NamedTuple):
    """What all devices know of a consensus step, and draw alike from.

    Attributes
    ----------
    seed : int
        Seed of everything.
    round, step : int
        The round, from 1, and the consensus steps made in it.
    """

    seed: int
    round: int
    step: int


class Codec(ABC):
    """How what a device sends becomes fewer bytes: pure functions on named arrays.

    Names, shapes and dtypes of what is encoded follow from those of the message and from the
    key alone, never from its numbers: so bytes are counted, and what neighbors send is checked
    before it is decoded. Arrays are of NumPy on devices and of PyTorch in the swarm.

    Attributes
    ----------
    is_exact : bool
        Whether the message itself is sent.
    """

    is_exact: ClassVar[bool] = False

    @abstractmethod
    def encode(self, message: Arrays, key: StepKey, shape: tuple[int, ...] = ()) -> dict[str, Any]:
        """Return what is sent of a message.

        Parameters
        ----------
        message : Arrays
            Floating-point arrays by name.
        key : StepKey
            The step: the same on all devices.
        shape : tuple[int, ...]
            Leading axes: () for one device, (K,) where all are stacked.
        """

    @abstractmethod
    def decode(
        self, encoded: Arrays, layout: Layout, key: StepKey, shape: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Return a message, its numbers as good as what was sent; what was not sent is 0.

        Parameters
        ----------
        encoded : Arrays
            What `encode` made, or what a neighbor says it made: of the right layout.
        layout : Layout
            Shapes and dtypes of one device's message.
        key, shape
            As for `encode`.

        Raises
        ------
        LayoutError
            Its numbers are none that `encode` makes.
        """

    def rounded(self, message: Arrays, key: StepKey, shape: tuple[int, ...] = ()) -> dict[str, Any]:
        """Return what others make of a message: `decode` of `encode`."""
        encoded = self.encode(message, key, shape)
        return self.decode(encoded, layout_of(message, shape), key, shape)

    @abstractmethod
    def encoded_layout(self, layout: Layout, key: StepKey) -> Layout:
        """Return what `encode` makes of a message of a layout: shapes and dtypes by name."""


@dataclass(frozen=True)
class Exact(Codec):
    """The message as it is."""

    is_exact = True

    def encode(self, message: Arrays, key: StepKey, shape: tuple[int, ...] = ()) -> dict[str, Any]:
        """Return the message."""
        return dict(message)

    def decode(
        self, encoded: Arrays, layout: Layout, key: StepKey, shape: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Return the message."""
        return dict(encoded)

    def encoded_layout(self, layout: Layout, key: StepKey) -> Layout:
        """Return the layout."""
        return layout


EXACT = Exact()


class ArrayCodec(Codec):
    """A codec that makes of each array, whatever the others are, one or more arrays.

    A subclass writes `pack` and `unpack`, on the last axis of arrays of shape (..., n).
    """

    @abstractmethod
    def pack(self, values: Any, key: StepKey, name: str) -> dict[str, Any]:
        """Return what is sent of an array, shape (..., n), by part: each of shape (..., m)."""

    @abstractmethod
    def unpack(self, parts: Mapping[str, Any], size: int, key: StepKey, name: str) -> Any:
        """Return an array of shape (..., size), of any floating-point type, from its parts."""

    def reduced(self, values: Any, key: StepKey, name: str) -> Any:
        """Return `unpack` of `pack`; a subclass may have a shorter way."""
        return self.unpack(self.pack(values, key, name), values.shape[-1], key, name)

    def encode(self, message: Arrays, key: StepKey, shape: tuple[int, ...] = ()) -> dict[str, Any]:
        """Return the parts of all arrays, as ``part/name``."""
        check_real_layout(layout_of(message, shape), "take codec='none'")
        return {
            f"{part}/{name}": packed
            for name, array in message.items()
            for part, packed in self.pack(_flat(array, shape), key, name).items()
        }

    def decode(
        self, encoded: Arrays, layout: Layout, key: StepKey, shape: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Return the arrays that were packed."""
        found: dict[str, dict[str, Any]] = {name: {} for name in layout}
        for marked in encoded:
            part, _, name = marked.partition("/")
            found[name][part] = encoded[marked]
        return {
            name: _shaped(self.unpack(found[name], math.prod(one), key, name), (*shape, *one), kind)
            for name, (one, kind) in layout.items()
        }

    def rounded(self, message: Arrays, key: StepKey, shape: tuple[int, ...] = ()) -> dict[str, Any]:
        """Return what others make of a message."""
        check_real_layout(layout_of(message, shape), "take codec='none'")
        return {
            name: _shaped(
                self.reduced(_flat(array, shape), key, name), tuple(array.shape), dtype_name(array)
            )
            for name, array in message.items()
        }

    def encoded_layout(self, layout: Layout, key: StepKey) -> Layout:
        """Return the layout of the parts, which no key changes."""
        return {
            f"{part}/{name}": entry
            for name, (shape, kind) in layout.items()
            for part, entry in _packed(self, math.prod(shape), kind).items()
        }


def layout_of(message: Arrays, shape: tuple[int, ...] = ()) -> Layout:
    """Return shapes and dtypes of one device's arrays, by name."""
    if not shape and all(isinstance(array, np.ndarray) for array in message.values()):
        return layout(message)
    lead = len(shape)
    return {n: (tuple(a.shape[lead:]), dtype_name(a)) for n, a in message.items()}


def size_of(layout: Layout) -> int:
    """Return the size in bytes of arrays of a layout."""
    return sum(
        math.prod(shape) * (2 if kind == "bfloat16" else np.dtype(kind).itemsize)
        for shape, kind in layout.values()
    )


@functools.lru_cache(maxsize=1024)
def _packed(codec: ArrayCodec, size: int, kind: str) -> Layout:
    """Return the layout of an array's parts; NumPy has no bfloat16, but a type of its size."""
    if kind == "bfloat16":
        parts = _packed(codec, size, "float16")
        return {part: (shape, kind if k == "float16" else k) for part, (shape, k) in parts.items()}
    return layout_of(codec.pack(np.zeros(size, kind), StepKey(0, 0, 0), ""))


def _flat(array: Any, shape: tuple[int, ...]) -> Any:
    return array.reshape((*shape, math.prod(array.shape[len(shape) :])))


def _shaped(values: Any, shape: tuple[int, ...], kind: str) -> Any:
    return cast(values.reshape(shape), kind)
