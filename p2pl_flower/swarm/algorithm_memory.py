"""What an algorithm, a mixing rule and a codec need of memory beside the models."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..algorithms import Algorithm
from ..algorithms.codecs import Coder
from ..algorithms.mixing import MixingRule
from .stack import Stack

_EXACT = Coder()


def extra_bytes(algorithm: Algorithm, one: Stack, mixing: MixingRule, coder: Coder = _EXACT) -> int:
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
    """
    public = 0 if coder.is_exact else (2 + coder.keeps) * one.model_bytes
    return public + _extra_bytes(algorithm, one, mixing)


def _extra_bytes(algorithm: Algorithm, one: Stack, mixing: MixingRule) -> int:
    if algorithm.is_plain and algorithm.is_weighted_sum:
        return 0 if mixing.is_weighted_sum else one.model_bytes
    model = {name: one.tensors[name] for name in one.mixed}
    started = algorithm.start(model, (1,))
    training = algorithm.before_training(model, started)
    sending = algorithm.after_training(training.model, training.state)
    mixed = algorithm.after_mixing(sending.message, sending.message, sending.state, 1.0)
    kept = max(_size(*state.values()) for state in (started, training.state, mixed.state))
    copies = 2 if algorithm.looks_back else 1
    return kept + _size(training.correction or {}) + copies * _size(sending.message)


def _size(*parts: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensors in parts for tensor in tensors.values())
