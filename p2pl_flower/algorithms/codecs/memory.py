r"""What devices keep of what was sent, so that what was not sent is not lost.

Beside its message m_k a device has a public one, q_k, which its neighbors know it by. A consensus
step is made of these alone, and moves the message by what they say:

.. math:: m_k \leftarrow m_k + \gamma \sum_j a_{kj} (q_j - q_k)

Equal weights keep the mean of the messages, whatever a codec loses, and no loss enters the own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ..base import Arrays, State, each, zeros_like
from .array_functions import wide


class Public(NamedTuple):
    """What neighbors know a device's message by, and what the device keeps for the next."""

    message: Arrays
    kept: State


@dataclass(frozen=True)
class Memory:
    """What neighbors know of a message is what was sent of it; the base remembers nothing.

    Attributes
    ----------
    adds_up : bool
        Whether neighbors add what arrives to a copy that they keep.
    """

    adds_up: ClassVar[bool] = False

    def start(self, message: Arrays, begun: Arrays) -> State:
        """Return what a device keeps before it has sent anything.

        Parameters
        ----------
        message : Arrays
            What it is to send first.
        begun : Arrays
            The model that it began with, as far as messages hold it.
        """
        return {}

    def offered(self, message: Arrays, kept: State) -> Arrays:
        """Return what goes through the codec."""
        return message

    def public(self, message: Arrays, offered: Arrays, sent: Arrays, kept: State) -> Public:
        """Return what neighbors make of what was ``sent`` of what was ``offered``."""
        return Public(sent, {})


@dataclass(frozen=True)
class NoMemory(Memory):
    """What was not sent is forgotten."""


@dataclass(frozen=True)
class ErrorFeedback(Memory):
    r"""What was not sent is added to the next message that is sent.

    .. math:: q_k = C(m_k + e_k), \qquad e_k \leftarrow m_k + e_k - q_k

    This is DeepSqueeze [1]_ where messages are models. It wants gamma far below 1, the smaller the
    less a codec sends: with top-k of whole models, errors are as large as models. Nothing is kept
    at neighbors, so that links may be lossy and graphs change.

    References
    ----------
    .. [1] Tang et al., "DeepSqueeze: Decentralization Meets Error-Compensated Compression",
       arXiv 1907.07346.
    """

    def start(self, message: Arrays, begun: Arrays) -> State:
        """Begin with no error."""
        return {"error": zeros_like(message)}

    def offered(self, message: Arrays, kept: State) -> Arrays:
        """Return the message and what is left over."""
        return each(lambda m, e: m + e, message, kept["error"])

    def public(self, message: Arrays, offered: Arrays, sent: Arrays, kept: State) -> Public:
        """Return what was sent; keep what was not."""
        return Public(sent, {"error": each(lambda o, q: o - q, offered, sent)})


@dataclass(frozen=True)
class PublicCopies(Memory):
    r"""Neighbors keep a copy, and what is sent is how the message differs from it.

    .. math:: q_k \leftarrow q_k + C(m_k - q_k)

    as in `Choco`, for whatever algorithm, from the initial model, and from 0 for what an algorithm
    sends beside models. What is sent shrinks as devices agree, and a codec's losses with it.
    """

    adds_up = True

    def start(self, message: Arrays, begun: Arrays) -> State:
        """Begin with the initial model: a neighbor that began with the same one has the copy."""
        return {"copy": {**zeros_like(message), **{n: begun[n] for n in message if n in begun}}}

    def offered(self, message: Arrays, kept: State) -> Arrays:
        """Return how the message differs from its copy."""
        return each(lambda m, q: m - q, message, kept["copy"])

    def public(self, message: Arrays, offered: Arrays, sent: Arrays, kept: State) -> Public:
        """Return the copy and what was sent."""
        copy = each(lambda q, s: q + s, kept["copy"], sent)
        return Public(copy, {"copy": copy})


MEMORIES: Mapping[str, Memory] = {
    "none": NoMemory(),
    "error-feedback": ErrorFeedback(),
    "public-copies": PublicCopies(),
}
"""By the name that the option ``codec-memory`` has for them."""


def moved(message: Arrays, public: Arrays, mixed: Arrays) -> dict[str, Any]:
    """Return a message after a step that made ``mixed`` of its public one."""
    return each(_moved, message, public, mixed)


def _moved(own: Any, before: Any, after: Any) -> Any:
    total = wide(own) + (wide(after) - wide(before))
    return total.astype(own.dtype) if hasattr(total, "astype") else total.to(own.dtype)
