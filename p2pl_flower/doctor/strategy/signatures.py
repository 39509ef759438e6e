"""How strategy classes take their arguments, from the user's own up to Flower's."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from ..flwr_names import FEDAVG_ORDER, KEPT, OWN_ARGUMENTS
from ..python.source import Function
from .lineage import Lineage


@dataclass(frozen=True)
class Init:
    """How a class takes its arguments.

    Attributes
    ----------
    positional : tuple[str, ...]
        Parameters, in their order.
    named : frozenset[str]
        All that it takes by name.
    rest, options : bool
        Whether further positional arguments, and further ones by name, are handed on to
        the class above.
    """

    positional: tuple[str, ...]
    named: frozenset[str]
    rest: bool
    options: bool


FEDAVG = Init(FEDAVG_ORDER, frozenset(), rest=False, options=False)


def inits(lineage: Lineage | None) -> list[Init]:
    """Return how each class of a lineage takes its arguments, up to Flower's own."""
    if lineage is None:
        return [FEDAVG]
    own = [_init(function) for _, function in lineage.methods("__init__")]
    return [*own, FEDAVG]


def inits_above(lineage: Lineage, function: Function) -> list[Init]:
    """Return how the classes above the one with this ``__init__`` take their arguments."""
    own = list(lineage.methods("__init__"))
    position = next((i for i, (_, f) in enumerate(own) if f is function), len(own) - 1)
    return [*(_init(f) for _, f in own[position + 1 :]), FEDAVG]


def _init(function: Function) -> Init:
    arguments = function.args
    positional = [a.arg for a in (*arguments.posonlyargs, *arguments.args)][1:]
    named = {*positional, *(a.arg for a in arguments.kwonlyargs)}
    if arguments.kwarg is not None:
        named |= _popped(function, arguments.kwarg.arg)
    return Init(
        tuple(positional),
        frozenset(named),
        _hands_on(function, arguments.vararg),
        _hands_on(function, arguments.kwarg),
    )


def _hands_on(function: Function, several: ast.arg | None) -> bool:
    """Return whether a function hands ``*args`` or ``**options`` on to an ``__init__``."""
    if several is None:
        return False
    for call in (n for n in ast.walk(function) if isinstance(n, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "__init__":
            given = [a.value for a in call.args if isinstance(a, ast.Starred)]
            given += [k.value for k in call.keywords if k.arg is None]
            if any(isinstance(n, ast.Name) and n.id == several.arg for n in given):
                return True
    return False


def _popped(function: Function, options: str) -> set[str]:
    """Return what a function takes out of its ``**options`` itself."""
    return {
        str(call.args[0].value)
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "pop"
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == options
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


def bound(chain: list[Init], position: int | None, name: str | None) -> str:
    """Return which of Flower's arguments an argument is; empty if it is the user's own."""
    for init in chain:
        if position is not None:
            if position < len(init.positional):
                return init.positional[position] if init is FEDAVG else ""
            position -= len(init.positional)
            if not init.rest:
                return ""
        elif init is FEDAVG:
            return name if name in KEPT | OWN_ARGUMENTS and name is not None else ""
        elif name in init.named or not init.options:
            return ""
    return ""
