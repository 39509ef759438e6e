"""What an algorithm, a mixing rule and a codec need of memory beside the models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ..algorithms import Algorithm
from ..algorithms.base import State
from ..algorithms.codecs import Coder
from ..algorithms.mixing import MixingRule
from .stack import Stack

_EXACT = Coder()


def extra_bytes(
    algorithm: Algorithm,
    one: Stack,
    mixing: MixingRule,
    coder: Coder = _EXACT,
    devices: int = 1,
) -> int:
    """Return the bytes that an algorithm needs for one device beside its model.

    Parameters
    ----------
    algorithm : Algorithm
        The algorithm: its hooks are called on tensors without content.
    one : Stack
        A stack of one device on PyTorch's ``meta`` device.
    mixing : MixingRule
        How messages are mixed: what is no product is made beside the messages.
    coder : Coder
        What is sent of them: public messages are held twice, before and after a step.
    devices : int
        How many there are in the run: some algorithms keep a number for each.
    """
    public = 0 if coder.is_exact else 2 + coder.keeps
    if algorithm.is_plain and algorithm.is_weighted_sum:
        beside = 0 if mixing.is_weighted_sum else 1
        return (public + beside) * one.model_bytes
    model = {name: one.tensors[name] for name in one.mixed}
    started = _started(algorithm, model, devices)
    training = algorithm.before_training(model, started)
    sending = algorithm.after_training(training.model, training.state)
    mixed = algorithm.after_mixing(sending.message, sending.message, sending.state, 1.0)
    kept = max(_size(*state.values()) for state in (started, training.state, mixed.state))
    copies = public + (2 if algorithm.looks_back else 1)
    return kept + _size(training.correction or {}) + copies * _size(sending.message)


def _started(algorithm: Algorithm, model: Mapping[str, Tensor], devices: int) -> State:
    """Return what the first of so many devices keeps before its first training."""
    if algorithm.knows_place:
        return algorithm.start_at(model, (1,), np.eye(1, devices, dtype=np.float32))
    return algorithm.start(model, (1,))


def _size(*parts: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensors in parts for tensor in tensors.values())
