"""How strategy classes take their arguments, from the user's own up to Flower's."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
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
    return [*_own(node for _, node in lineage.classes), FEDAVG]


def inits_above(lineage: Lineage, function: Function) -> list[Init]:
    """Return how the classes above the one with this method take their arguments."""
    classes = [node for _, node in lineage.classes]
    position = next((i for i, node in enumerate(classes) if function in node.body), len(classes))
    return [*_own(classes[position + 1 :]), FEDAVG]


def _own(classes: Iterable[ast.ClassDef]) -> Iterator[Init]:
    """Yield how classes of the project take their arguments, where they say so."""
    for node in classes:
        written = [f for f in node.body if isinstance(f, Function) and f.name == "__init__"]
        decorators = {ast.unparse(d).partition("(")[0] for d in node.decorator_list}
        if written:
            yield _init(written[-1])
        elif {d.rpartition(".")[2] for d in decorators} & {"dataclass"}:
            fields = [s.target for s in node.body if isinstance(s, ast.AnnAssign)]
            names = tuple(target.id for target in fields if isinstance(target, ast.Name))
            yield Init(names, frozenset(names), rest=False, options=False)


def handed_on(function: Function, call: ast.Call, is_method: bool) -> Init | None:
    """Return how a function takes its arguments that hands ``**options`` on to a call.

    None is returned where it hands on nothing that it was given so.
    """
    arguments = function.args
    positional = [a.arg for a in (*arguments.posonlyargs, *arguments.args)][int(is_method) :]
    named = {*positional, *(a.arg for a in arguments.kwonlyargs)}
    rest, options = (_gives(call, a) for a in (arguments.vararg, arguments.kwarg))
    if arguments.kwarg is not None:
        named |= _popped(function, arguments.kwarg.arg)
    return Init(tuple(positional), frozenset(named), rest, options) if rest or options else None


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
    calls = [n for n in ast.walk(function) if isinstance(n, ast.Call)]
    return any(getattr(c.func, "attr", "") == "__init__" and _gives(c, several) for c in calls)


def _gives(call: ast.Call, several: ast.arg | None) -> bool:
    """Return whether a call is given ``*args`` or ``**options`` of the function around it."""
    given = [a.value for a in call.args if isinstance(a, ast.Starred)]
    given += [k.value for k in call.keywords if k.arg is None]
    return several is not None and any(getattr(n, "id", "") == several.arg for n in given)


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
