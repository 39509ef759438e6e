"""Codecs one after the other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...named_arrays import Layout
from ..base import Arrays
from .base import Codec, StepKey, layout_of

_KEPT = "kept/"


@dataclass(frozen=True)
class Chain(Codec):
    """Each codec encodes the floating-point arrays that the one before it has made.

    ``top-k:fraction=0.1+int8`` sends a tenth of the numbers, and these in a byte each.

    Parameters
    ----------
    parts : tuple[Codec, ...]
        In the order in which they encode; one at least.
    """

    parts: tuple[Codec, ...]

    def encode(self, message: Arrays, key: StepKey, shape: tuple[int, ...] = ()) -> dict[str, Any]:
        """Return what the last codec made, and what those before it had that is no such array."""
        kept: dict[str, Any] = {}
        now: dict[str, Any] = dict(message)
        for place, codec in enumerate(self.parts):
            made = codec.encode(now, key, shape)
            floats = _floats(layout_of(made, shape))
            now = {name: made[name] for name in floats}
            kept |= {f"{_KEPT}{place}/{n}": array for n, array in made.items() if n not in floats}
        return {**kept, **now}

    def decode(
        self, encoded: Arrays, layout: Layout, key: StepKey, shape: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Undo one codec after the other, from the last."""
        layouts = [layout]
        for codec in self.parts[:-1]:
            layouts.append(_floats(codec.encoded_layout(layouts[-1], key)))
        now = {name: encoded[name] for name in encoded if not name.startswith(_KEPT)}
        for place, codec in reversed(list(enumerate(self.parts))):
            mark = f"{_KEPT}{place}/"
            own = {n.removeprefix(mark): encoded[n] for n in encoded if n.startswith(mark)}
            now = codec.decode({**own, **now}, layouts[place], key, shape)
        return now

    @property
    def idle(self) -> Codec | None:
        """The first that has nothing to do, where those before it leave no floating-point array."""
        layout: Layout = {"model": ((64,), "float32")}
        for before, codec in itertools.pairwise(self.parts):
            layout = _floats(before.encoded_layout(layout, StepKey(0, 1, 0)))
            if not layout:
                return codec
        return None

    def encoded_layout(self, layout: Layout, key: StepKey) -> Layout:
        """Return the layouts of what is left and kept of all codecs."""
        kept: dict[str, tuple[tuple[int, ...], str]] = {}
        for place, codec in enumerate(self.parts):
            made = codec.encoded_layout(layout, key)
            layout = _floats(made)
            kept |= {f"{_KEPT}{place}/{n}": entry for n, entry in made.items() if n not in layout}
        return {**kept, **layout}


def _floats(layout: Layout) -> Layout:
    """Return what of a layout the next codec encodes."""
    return {n: (s, k) for n, (s, k) in layout.items() if k == "bfloat16" or np.dtype(k).kind == "f"}
