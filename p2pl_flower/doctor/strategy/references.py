"""Where an app names strategy classes, and what it does with them there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeGuard

from ..flwr_names import is_strategy
from ..python.names import Names, Thing
from ..python.scopes import visible
from ..python.source import Source
from .lineage import is_ours, lineage

_ASKS = (
    "isinstance",
    "issubclass",
    "cast",
    "type",
    "super",
    "hasattr",
    "getattr",
    "TypeVar",
    "print",
    "str",
    "repr",
)


class Use(Enum):
    """What is done with a class where it is named."""

    MADE = "an instance is made of it"
    PARTIAL = "it is the first argument of functools.partial"
    BASE = "a class derives from it"
    METHOD = "a method of it is called by its name"
    VALUE = "it is assigned, returned or put into a table"
    HANDED_ON = "it is an argument of a function"
    ASKED = "it is an annotation, or something is compared with it"


@dataclass(frozen=True)
class Reference:
    """One place where a strategy class is named.

    Attributes
    ----------
    source, node : Source, ast.expr
        Where.
    thing : Thing
        The class.
    use : Use
        What is done with it.
    direct : bool
        Whether it is called by the name that it was imported or defined by, and not by that
        of a variable.
    """

    source: Source
    node: ast.expr
    thing: Thing
    use: Use
    direct: bool


def references(names: Names, sources: list[Source]) -> Iterator[Reference]:
    """Yield all places where strategy classes of the message API, P2PL among them, are named."""
    for source in sources:
        for node in source.live:
            if _names_something(node):
                for thing in names.things(source, node):
                    if is_known(names, thing):
                        direct = _is_direct(source, node)
                        yield Reference(source, node, thing, _use(names, source, node), direct)


def _names_something(node: ast.AST) -> TypeGuard[ast.expr]:
    """Return whether a node is a name, an attribute, or ``getattr`` of a name written out."""
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", "") == "getattr"
    return isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)


def is_known(names: Names, thing: Thing) -> bool:
    """Return whether something is a strategy class: Flower's, P2PL, or derived from one."""
    if thing.source is None:
        return is_strategy(thing.name) or is_ours(thing, "P2PL")
    found = lineage(names, thing)
    return found is not None and (found.is_ours or found.root() is not None)


def _is_direct(source: Source, node: ast.expr) -> bool:
    if not isinstance(node, ast.Name):
        return True
    found = visible(source, node, node.id)
    return all(isinstance(b.node, ast.alias | ast.ClassDef) for b in found)


def _use(names: Names, source: Source, node: ast.expr) -> Use:
    parent = source.parents[node]
    if isinstance(parent, ast.ClassDef):
        return Use.BASE
    if isinstance(parent, ast.Attribute):
        return Use.METHOD
    if _is_annotation(source, node):
        return Use.ASKED
    if isinstance(parent, ast.Call) and parent.func is node:
        return Use.MADE
    if isinstance(parent, ast.keyword) and parent.arg == "default_factory":
        return Use.MADE  # by a dataclass, without arguments
    call = next((n for n in source.above(node) if not isinstance(n, ast.keyword | ast.Tuple)), None)
    if isinstance(call, ast.Call):
        return _as_argument(names, source, call, node)
    asked = (ast.Compare, ast.Subscript, ast.BinOp, ast.Expr)
    in_table = isinstance(parent, ast.Subscript) and parent.value is node
    return Use.ASKED if isinstance(parent, asked) and not in_table else Use.VALUE


def _as_argument(names: Names, source: Source, call: ast.Call, node: ast.expr) -> Use:
    name = names.thing(source, call.func).name
    if name in ("functools.partial", "partial") and call.args[:1] == [node]:
        return Use.PARTIAL
    if getattr(call.func, "attr", "") in ("get", "pop"):
        return Use.VALUE  # what a table gives where it has no such entry
    if name == "type" and len(call.args) == 3:
        return Use.HANDED_ON  # a class is made that derives from it
    return Use.ASKED if name.rpartition(".")[2] in _ASKS else Use.HANDED_ON


def _is_annotation(source: Source, node: ast.AST) -> bool:
    child = node
    for parent in source.above(node):
        noted = (getattr(parent, "annotation", None), getattr(parent, "returns", None))
        if any(child is n for n in noted if n is not None):
            return True
        if isinstance(parent, ast.stmt):
            return False
        child = parent
    return False
