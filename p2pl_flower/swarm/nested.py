"""Several tensors in one: dictionaries and tuples of inputs, and what modules return of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Nested = Any
"""A tensor; or a mapping, tuple or list of such. As inputs, all have the samples as first axis."""


def each(function: Callable[..., Any], given: Nested, *others: Nested) -> Nested:
    """Return what a function makes of every tensor, in the same nest.

    Parameters
    ----------
    function : callable
        Is given a tensor of ``given``, and those in the same place of ``others``.
    given : tensor, mapping, tuple, list or anything else
        What is no nest and no tensor stays as it is.
    """
    if isinstance(given, Tensor):
        return function(given, *others)
    if isinstance(given, Mapping):
        made = {k: each(function, part, *(o[k] for o in others)) for k, part in given.items()}
        return made if type(given) is dict else type(given)(made)  # type: ignore[call-arg]
    if isinstance(given, tuple | list):
        parts = [each(function, *each_part) for each_part in zip(given, *others, strict=True)]
        return type(given)(*parts) if hasattr(given, "_fields") else type(given)(parts)
    return given


def tensors(given: Nested) -> Iterator[Tensor]:
    """Yield every tensor of a nest."""
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, Mapping):
        for part in given.values():
            yield from tensors(part)
    elif isinstance(given, tuple | list):
        for part in given:
            yield from tensors(part)


def first(given: Nested) -> Tensor:
    """Return the first tensor of a nest, which has as many samples as all others."""
    return next(tensors(given))


def call(module: nn.Module, x: Nested) -> Any:
    """Return what a module makes of inputs (see `arguments`)."""
    positional, named = arguments(module, x)
    return module(*positional, **named)


def arguments(module: nn.Module, x: Nested) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments by which a module is given inputs.

    A mapping's parts are given by name, and a tuple's in turn, where ``forward`` takes as many;
    else they are given as they are, as one argument.
    """
    if isinstance(x, Tensor):
        return (x,), {}
    named = dict(x) if isinstance(x, Mapping) else {}
    positional = () if named else tuple(x)
    return (positional, named) if _takes(module, len(positional), tuple(named)) else ((x,), {})


def _takes(module: nn.Module, count: int, names: tuple[str, ...]) -> bool:
    """Tell whether ``forward`` takes so many arguments in turn, and those by name."""
    forward: Any = module.forward
    function = getattr(forward, "__func__", forward)  # the same one for all of a class
    key = function, function is not forward, count, names
    if key not in _TAKEN:
        if len(_TAKEN) >= _MOST:
            _TAKEN.clear()
        try:
            inspect.signature(forward).bind(*range(count), **dict.fromkeys(names))
            _TAKEN[key] = True
        except TypeError:
            _TAKEN[key] = False
    return _TAKEN[key]


_TAKEN: dict[Any, bool] = {}
_MOST = 256


def joined(parts: list[Nested]) -> Nested:
    """Return nests one after the other, along the samples."""
    return each(lambda *same: torch.cat(same) if same[0].dim() else same[0], *parts)


def shown(given: Nested) -> str:
    """Return the shapes of a nest, without the samples, and its types, for errors."""
    if isinstance(given, Tensor):
        return f"shape {tuple(given.shape[1:])} and {given.dtype}"
    parts = given.items() if isinstance(given, Mapping) else enumerate(given)
    return ", ".join(f"{name!r} of {shown(part)}" for name, part in parts)
