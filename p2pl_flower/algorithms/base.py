"""What an algorithm is: pure functions on named arrays, and the arrays that a device keeps.

A device's round, whatever runs it (Flower's simulation, the swarm, a peer with no server)::

    model, correction, state = algorithm.before_training(model, state)
    trained = H local steps from the model, each of which adds correction / H
    message, state = algorithm.after_training(trained, state)
    for each of S consensus steps:
        mixed = message + gamma * sum_j a_kj (message_j - message)     or algorithm.combine(...)
        model, state = algorithm.after_mixing(message, mixed, state, gamma)
        message = mixed

Arrays are of any array library (NumPy on devices, PyTorch in the swarm) and belong to one device
or, stacked along a leading axis, to all: what is written with ``+ - * /`` and `each` serves both.
Only those arrays of a model are among them that are mixed: floating-point ones that are shared.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from .averaging import weighted_sum

Arrays = Mapping[str, Any]
"""Named arrays of one library."""

State = Mapping[str, Arrays]
"""What a device keeps from one hook to the next: named arrays, by what they are."""


class Training(NamedTuple):
    """What a device trains from.

    Attributes
    ----------
    model : Arrays
        Where training starts.
    correction : Arrays or None
        What the round's H local steps add to the model in all, 1/H of it each; None for nothing.
    state : State
        What the device keeps.
    """

    model: Arrays
    correction: Arrays | None
    state: State


class Sending(NamedTuple):
    """What a device sends to its neighbors after training, and what it keeps."""

    message: Arrays
    state: State


class Mixed(NamedTuple):
    """A device's model after a consensus step, and what it keeps."""

    model: Arrays
    state: State


@dataclass(frozen=True)
class Algorithm:
    """Decentralized learning as one device does it; the base is local training and averaging.

    A subclass in a file of this folder, with a ``name``, is found by itself; one of another
    package by an entry point of the group ``p2pl_flower.algorithms``. Its options are the fields
    of a frozen dataclass, checked in ``__post_init__``. Hooks are pure: they change no array that
    they are given, and what they return depends on nothing else.

    Attributes
    ----------
    name : str
        What users call it.
    init : str
        How devices start where users do not say it: see `p2pl_flower.Options`.
    mixing_step : float
        Factor of the consensus step size gamma: 0.5 mixes by (I + A) / 2 in place of A.
    symmetric_weights : bool
        Whether its theory wants a symmetric mixing matrix: `p2pl_flower.Options` refuses others.
    column_weights : bool
        Whether it wants a symmetric or a column-stochastic one, by which sums are kept.
    codec_memory : str
        What devices keep of what was sent where users do not say it: see `p2pl_flower.Options`.
    """

    name: ClassVar[str] = ""
    init: ClassVar[str] = "max-norm"
    mixing_step: ClassVar[float] = 1.0
    symmetric_weights: ClassVar[bool] = False
    column_weights: ClassVar[bool] = False
    codec_memory: ClassVar[str] = "none"

    @property
    def corrects(self) -> bool:
        """Whether local steps need a correction, which training must then add."""
        return False

    @property
    def least_eigenvalue(self) -> float:
        """What the eigenvalues of a round's symmetric mixing matrix must not be below."""
        return -1.0

    def start(self, model: Arrays, shape: tuple[int, ...]) -> State:
        """Return what a device keeps before its first training.

        Parameters
        ----------
        model : Arrays
            Its initial model.
        shape : tuple[int, ...]
            That of a number for each device: () on one, (K,) where all are stacked.
        """
        return {}

    def start_at(self, model: Arrays, shape: tuple[int, ...], place: Any) -> State:
        """Return what `start` does, where a device must know which one of how many it is.

        Parameters
        ----------
        model, shape
            As for `start`.
        place : NDArray[float32], shape (K,) or (devices, K)
            1 at the device's own place among all K, 0 elsewhere. It is NumPy's.
        """
        return self.start(model, shape)

    def before_training(self, model: Arrays, state: State) -> Training:
        """Return what a device trains from, given the model that it has."""
        return Training(model, None, state)

    def after_training(self, trained: Arrays, state: State) -> Sending:
        """Return what a device sends, under whatever names; the same ones in every round."""
        return Sending(trained, state)

    def combine(
        self, own: Arrays, received: Mapping[int, Arrays], row: Mapping[int, float], gamma: float
    ) -> Arrays:
        r"""Mix one device's message with those that arrived: a weighted sum unless overridden.

        .. math:: m_k \leftarrow m_k + \gamma \sum_j a_{kj} (m_j - m_k)

        Parameters
        ----------
        own : Arrays
            :math:`m_k`.
        received : Mapping[int, Arrays]
            :math:`m_j` by device.
        row : Mapping[int, float]
            :math:`a_{kj}` by device; the device's own weight is what they lack to 1.
        gamma : float
            :math:`\gamma`, the consensus step size.
        """
        return weighted_sum(own, received, row, gamma)

    def after_mixing(self, sent: Arrays, mixed: Arrays, state: State, gamma: float) -> Mixed:
        """Return the model after a consensus step that made ``mixed`` of what was ``sent``."""
        return Mixed(mixed, state)

    @property
    def knows_place(self) -> bool:
        """Whether it is `start_at` that must be called, and not `start`."""
        return self._overrides("start_at")

    @property
    def is_weighted_sum(self) -> bool:
        """Whether messages are mixed by a weighted sum, so that one product does it for all."""
        return type(self).combine is Algorithm.combine

    @property
    def is_plain(self) -> bool:
        """Whether the model itself is sent and mixed, and nothing is kept beside it."""
        return not any(map(self._overrides, ("start", "before_training", "after_training"))) and (
            not self._overrides("after_mixing")
        )

    @property
    def looks_back(self) -> bool:
        """Whether `after_mixing` compares what was sent with what came of it.

        One that does not may say so: what was sent is then not kept, and ``sent`` is ``mixed``.
        """
        return self._overrides("after_mixing")

    def _overrides(self, hook: str) -> bool:
        return getattr(type(self), hook) is not getattr(Algorithm, hook)


def each(function: Callable[..., Any], *arrays: Arrays) -> dict[str, Any]:
    """Return ``function`` of the arrays of the same name, by name."""
    return {name: function(*(a[name] for a in arrays)) for name in arrays[0]}


def zeros_like(arrays: Arrays) -> dict[str, Any]:
    """Return zeros of the same shapes, dtypes and library."""
    return each(lambda array: library_of(array).zeros_like(array), arrays)


def library_of(array: Any) -> Any:
    """Return the library of an array, NumPy or PyTorch: a module with the array API's functions."""
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    return sys.modules[type(array).__module__.partition(".")[0]]


def beside(numbers: Any, array: Any) -> Any:
    """Return devices' numbers, shape () or (K,), in a shape that multiplies an array of theirs."""
    return numbers.reshape(numbers.shape + (1,) * (array.ndim - numbers.ndim))


def in_precision_of(array: Any, other: Any) -> Any:
    """Return an array in the dtype of another of its library."""
    if array.dtype == other.dtype:
        return array
    return array.to(other.dtype) if hasattr(array, "to") else array.astype(other.dtype)
