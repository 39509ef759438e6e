"""The devices' initial models: each is drawn from its own seed."""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..algorithms.max_norm import comparable
from .stack import Stack, in_parts
from .workers import Do, in_turn

ModelFactory = Callable[..., nn.Module]

_AT_ONCE = 64
"""Devices whose tensors are drawn, or set, by one task."""


@runtime_checkable
class Drawing(Protocol):
    """A factory that knows what it draws without making modules, on several threads at once."""

    def drawn(self, seed: int) -> Mapping[str, Tensor]:
        """Return the tensors of the module that it makes from a seed, as ``state_dict`` does."""


class Draws:
    """What the devices of a stack draw.

    A model that another's replaces at once is drawn, measured and forgotten, and the few that
    are kept are drawn again: in that way the memory of all models is written once.

    Parameters
    ----------
    stack : Stack
        Where initial models go.
    factory : ModelFactory
        Draws a model from a seed. Models are drawn one after the other, for the generator that
        modules draw from is the whole process's; those of a `Drawing` side by side.
    seeds : sequence of int
        Each device's, or the one from which all start.

    Raises
    ------
    LayoutError
        The factory does not always return the same class.
    """

    def __init__(self, stack: Stack, factory: ModelFactory, seeds: Sequence[int]) -> None:
        self._stack, self._factory, self._seeds = stack, factory, seeds

    def norms(self, scope: str, do: Do = in_turn) -> NDArray[np.float64]:
        """Draw all models, set those of their tensors that are not mixed, and measure the rest.

        Parameters
        ----------
        scope : str
            ``model``: one norm over all mixed tensors, G = 1; ``tensor``: one for each.
        do : Do
            Draws those of several devices: side by side on worker threads, say.

        Returns
        -------
        NDArray[float64], shape (K, G)
            The L2 norms that synchronization compares.
        """
        stack, setting = self._stack, threading.Lock()
        own = stack.tensors.keys() - {*stack.mixed}
        squares = torch.empty(len(self._seeds), len(stack.mixed), dtype=torch.float64)

        def measure(devices: Iterable[int]) -> None:
            for device in devices:
                model = _model(self._factory, self._seeds[device])
                with setting:
                    stack.put(slice(None) if len(self._seeds) == 1 else device, model, own)
                squares[device] = _squares(stack, model)

        with one_core():
            together = do if isinstance(self._factory, Drawing) else in_turn
            together(measure, _portions(len(self._seeds)))
        norms = _roots(squares, scope)
        return np.broadcast_to(norms, (stack.devices, norms.shape[1]))

    def give(self, origins: NDArray[np.int64], do: Do = in_turn) -> None:
        """Set each device's mixed tensors to those that ``origins`` drew, group by group.

        Parameters
        ----------
        origins : NDArray[int64], shape (K, G)
            Whose tensors; G is 1 or the number of mixed tensors.
        do : Do
            Sets those of several devices: side by side on worker threads, say.
        """
        wanted = np.broadcast_to(origins, (len(origins), len(self._stack.mixed)))
        for origin in np.unique(origins).tolist():
            with one_core():
                model = _model(self._factory, self._seeds[origin])
            do(_set, self._parts(wanted == origin, model))

    def _parts(self, takers: NDArray[np.bool_], model: Mapping[str, Tensor]) -> Iterator[_Part]:
        """Cut what is to be set, ``takers`` of shape (K, tensors), into tasks."""
        for name, devices in zip(self._stack.mixed, takers.T, strict=True):
            rows = torch.from_numpy(np.flatnonzero(devices))
            for some in torch.split(rows, _AT_ONCE):
                yield self._stack.tensors[name], some, model[name]


_Part = tuple[Tensor, Tensor, Tensor]


def _set(part: _Part) -> None:
    tensor, rows, value = part
    value = value.to(tensor.device, tensor.dtype)
    for row in rows.tolist():
        tensor[row] = value


def draw(factory: ModelFactory, seed: int) -> nn.Module:
    """Return the model that ``factory`` makes from a seed; the global random state stays.

    A factory with a parameter is called with the seed; one without, a module's class say,
    draws from PyTorch's global generator, which is seeded for it.
    """
    if _takes_seed(factory):
        return factory(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return factory()


@contextmanager
def one_core() -> Iterator[None]:
    """Keep PyTorch on one core: on many, small work waits for whatever else runs there."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def drawn_norms(
    stack: Stack, factory: ModelFactory, seeds: Sequence[int], scope: str
) -> NDArray[np.float64]:
    """Return the norms, shape (D, G), of what a factory draws from D seeds; none is kept."""
    with one_core():
        squares = [_squares(stack, _model(factory, seed)) for seed in seeds]
    return _roots(torch.stack(squares), scope)


def norms(stack: Stack, scope: str) -> NDArray[np.float64]:
    """Return the norms that synchronization compares of models that are set: see `Draws.norms`."""
    models = map(stack.model, range(stack.devices))
    return _roots(torch.stack([_squares(stack, model) for model in models]), scope)


def _portions(count: int) -> list[range]:
    """Cut the numbers below ``count`` into tasks."""
    return [range(start, min(start + _AT_ONCE, count)) for start in range(0, count, _AT_ONCE)]


def _model(factory: ModelFactory, seed: int) -> Mapping[str, Tensor]:
    if isinstance(factory, Drawing):
        return factory.drawn(seed)
    return {name: tensor.detach() for name, tensor in draw(factory, seed).state_dict().items()}


def _squares(stack: Stack, model: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of squares of each mixed tensor, in double precision."""
    times = Counter(stack.names[name] for name in stack.layout)  # tied ones under each name
    norms = [torch.linalg.vector_norm(in_parts(model[n]), dtype=torch.float64) for n in stack.mixed]
    each = [times[name] for name in stack.mixed]
    return torch.stack([norm.cpu() for norm in norms]).square() * torch.tensor(each)


def _roots(squares: Tensor, scope: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = squares.numpy()
    return comparable(np.sqrt(found if scope == "tensor" else found.sum(axis=1, keepdims=True)))


def _takes_seed(factory: ModelFactory) -> bool:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # some built-ins have no signature
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in kinds and p.default is p.empty for p in parameters)
