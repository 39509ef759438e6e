"""Where a strategy class reads models from messages: with P2PL none comes by."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from ..python.names import Names, Thing
from ..python.source import Function, Source

_VIEWS = ("array_records", "parameters_records")
_KEYS = ("arrays", "arrayrecord_key")
_AVERAGES = ("aggregate_arrayrecords", "aggregate", "aggregate_inplace")
_FOLLOWED = 3


@dataclass(frozen=True)
class Read:
    """One place where a model is taken out of a message.

    Attributes
    ----------
    source, node : Source, ast.expr
        Where.
    harmless : bool
        Whether it goes over all models there are, and works as well where there are none.
    """

    source: Source
    node: ast.expr
    harmless: bool


def reads(
    names: Names, source: Source, function: Function, depth: int = _FOLLOWED
) -> Iterator[Read]:
    """Yield where a function, or one of the project that it calls, reads models from messages."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and node.attr in _VIEWS:
            yield Read(source, node, _goes_over(source, node) or _is_tried(source, node))
        elif isinstance(node, ast.Subscript | ast.Call) and _is_arrays(node):
            yield Read(source, node, _is_tried(source, node))
        elif isinstance(node, ast.Call):
            for thing in [*names.things(source, node.func), *_of_object(names, source, node)]:
                if thing.is_flwr(*_AVERAGES):
                    yield Read(source, node, harmless=False)
                called = thing.node
                inside = isinstance(called, Function) and called is not function
                if depth and inside and thing.source is not None and isinstance(called, Function):
                    yield from reads(names, thing.source, called, depth - 1)


def _of_object(names: Names, source: Source, call: ast.Call) -> Iterator[Thing]:
    """Yield the method that ``self.helper.method()`` calls, where ``self.helper = Helper()``."""
    function = call.func
    held = function.value if isinstance(function, ast.Attribute) else None
    around = next((n for n in source.above(call) if isinstance(n, ast.ClassDef)), None)
    if not isinstance(function, ast.Attribute) or not isinstance(held, ast.Attribute) or not around:
        return
    for node in ast.walk(around):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            named = [t.attr for t in node.targets if isinstance(t, ast.Attribute)]
            if held.attr in named:
                for kind in names.things(source, node.value.func):
                    yield from names.attribute(kind, function.attr)


def _is_arrays(node: ast.Subscript | ast.Call) -> bool:
    """Return whether an expression is ``message.content["arrays"]``, or asks for it."""
    if isinstance(node, ast.Call):
        function = node.func
        if not isinstance(function, ast.Attribute) or function.attr != "get" or not node.args:
            return False
        table, key = function.value, node.args[0]
    else:
        table, key = node.value, node.slice
    named = getattr(key, "attr", getattr(key, "value", ""))
    return getattr(table, "attr", getattr(table, "id", "")) == "content" and named in _KEYS


def _is_tried(source: Source, node: ast.AST) -> bool:
    """Return whether code goes on where there are no such records."""
    child = node
    for parent in source.above(node):
        if isinstance(parent, ast.Try) and child in parent.body:
            caught = [ast.unparse(h.type) if h.type else "Exception" for h in parent.handlers]
            if any("Exception" in text or "KeyError" in text for text in caught):
                return True
        child = parent
    return False


def _goes_over(source: Source, node: ast.expr) -> bool:
    """Return whether all records of a view are gone over, so that there may be none."""
    whole: ast.AST = node
    method = source.parents[node]
    if isinstance(method, ast.Attribute) and method.attr in ("values", "items", "keys"):
        whole = source.parents[method]
    parent = source.parents[whole]
    if isinstance(parent, ast.For | ast.comprehension):
        return parent.iter is whole
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name):
        return parent.func.id in ("len", "bool", "sum", "any", "all", "sorted")
    return isinstance(parent, ast.If | ast.IfExp | ast.BoolOp | ast.UnaryOp)
