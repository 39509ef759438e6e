"""One seed for everything: independent streams, and numbers that need no state.

Every random choice names its stream and the things it is about (device, round, ...), so
that it does not depend on the order in which the choices are made, or on who makes them.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class Stream(IntEnum):
    """What a random number is for."""

    INIT = 1
    SPLIT = 2
    BATCHES = 3
    GRAPH = 4
    LOSS = 5
    BURST = 6
    CHURN = 7
    LAYERS = 8
    SAMPLE = 9
    TRANSFORM = 10
    EVALUATE = 11
    VALIDATION = 12
    NOISE = 13
    RATE = 14
    SPEED = 15
    PARTNER = 16
    OUTAGE = 17
    CODEC = 20


def generator(seed: int, stream: Stream, *coordinates: int) -> np.random.Generator:
    """Return the generator of ``stream`` at ``coordinates`` (device, round, ...)."""
    return np.random.default_rng([seed, int(stream), *coordinates])


def derive(seed: int, stream: Stream, *coordinates: int) -> int:
    """Return a seed of 63 bits for other libraries, ``torch.manual_seed`` for one."""
    return int(generator(seed, stream, *coordinates).integers(2**63))


def common_start(seed: int) -> int:
    """Return the seed from which all devices draw one model: device 0's where each has its own."""
    return derive(seed, Stream.INIT, 0)


def trial_draws(seed: int, count: int = 8) -> list[int]:
    """Return the seeds of the draws that say what is usual, the same on all devices."""
    return [derive(seed, Stream.INIT, 0, number) for number in range(1, count + 1)]


def batch_order(
    seed: int, device: int, round_number: int, epoch: int, samples: int
) -> NDArray[np.int64]:
    """Return the order in which a device visits its samples: a permutation, shape (samples,)."""
    stream = generator(seed, Stream.BATCHES, device, round_number, epoch)
    return stream.permutation(samples).astype(np.int64)


def uniform(seed: int, stream: Stream, *coordinates: ArrayLike) -> NDArray[np.float64]:
    """Return numbers in [0, 1) that are a pure function of the arguments.

    The coordinates are non-negative integers or arrays of them, and broadcast. Each is
    folded in with the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    """
    state = _scramble(np.asarray(seed, dtype=np.uint64))
    for coordinate in (int(stream), *coordinates):
        state = _scramble(state ^ np.asarray(coordinate).astype(np.uint64))
    return np.asarray((state >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def _scramble(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is what is wanted
        z = value + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        return np.asarray(z ^ (z >> np.uint64(31)))
