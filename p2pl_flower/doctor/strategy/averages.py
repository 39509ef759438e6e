"""What a class does with the averaged model that ``super().aggregate_train`` gives it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from ..python.source import Function, Source


@dataclass(frozen=True)
class Taken:
    """One use of the averaged model.

    Attributes
    ----------
    node : ast.expr
        Where.
    breaks : bool
        Whether it fails where there is no such model.
    """

    node: ast.expr
    breaks: bool


def taken(source: Source, function: Function, calls: list[ast.Call]) -> Iterator[Taken]:
    """Yield the uses that a function makes of the model in what some calls return."""
    for call in calls:
        parent = source.parents[call]
        if isinstance(parent, ast.Subscript) and _is_first(parent):
            yield from _uses(source, function, ast.dump(parent), [parent])
        elif isinstance(parent, ast.Assign):
            for target in parent.targets:
                yield from _assigned(source, function, target)


def _assigned(source: Source, function: Function, target: ast.expr) -> Iterator[Taken]:
    if isinstance(target, ast.Tuple) and isinstance(target.elts[0], ast.Name):
        name = target.elts[0].id
        found: list[ast.expr] = [
            n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name and _loads(n)
        ]
    elif isinstance(target, ast.Name):
        found = [
            n
            for n in ast.walk(function)
            if isinstance(n, ast.Subscript) and _is_first(n) and _named(n.value) == target.id
        ]
    else:
        return
    yield from _uses(source, function, ast.dump(found[0]) if found else "", found)


def _uses(source: Source, function: Function, model: str, found: list[ast.expr]) -> Iterator[Taken]:
    for node in found:
        parent = source.parents[node]
        guarded = _guarded(source, node, model)
        if isinstance(parent, ast.Attribute | ast.Subscript | ast.For | ast.comprehension):
            yield Taken(node, not guarded)
        elif isinstance(parent, ast.Call | ast.keyword | ast.Starred) and not _asks(parent):
            whole = parent if isinstance(parent, ast.Call) else source.parents[parent]
            mine = isinstance(whole, ast.Call) and _is_own(whole)
            yield Taken(node, mine and not guarded)


def _is_own(call: ast.Call) -> bool:
    """Return whether a call is one of a method of the class itself."""
    return isinstance(call.func, ast.Attribute) and _named(call.func.value) == "self"


def _asks(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _named(node.func) in ("isinstance", "bool", "print")


def _guarded(source: Source, node: ast.AST, model: str) -> bool:
    """Return whether code only runs where there is a model."""
    child = node
    for parent in source.above(node):
        if _guards(parent, child, model):
            return True
        if isinstance(parent, Function):
            return False
        child = parent
    return False


def _guards(parent: ast.AST, child: ast.AST, model: str) -> bool:
    """Return whether one node lets another run only where there is a model."""
    if isinstance(parent, ast.If | ast.IfExp):
        body = parent.body if isinstance(parent.body, list) else [parent.body]
        inside = child in body
        if child is not parent.test and _says(parent.test, model, present=inside):
            return True
    if isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.And):
        earlier = parent.values[: parent.values.index(child)] if child in parent.values else []
        return any(_says(value, model, present=True) for value in earlier)
    blocks = [getattr(parent, name, None) for name in ("body", "orelse", "finalbody")]
    return any(_left(block, child, model) for block in blocks if isinstance(block, list))


def _left(body: list[ast.AST], child: ast.AST, model: str) -> bool:
    """Return whether an earlier statement leaves the function where there is no model."""
    earlier = body[: body.index(child)] if child in body else []
    return any(
        isinstance(s, ast.If)
        and isinstance(s.body[-1], ast.Return | ast.Raise | ast.Continue)
        and _says(s.test, model, present=False)
        for s in earlier
    )


def _says(test: ast.expr, model: str, *, present: bool) -> bool:
    """Return whether a condition holds only where the model is there, or is not."""
    if isinstance(test, ast.BoolOp):
        joined = ast.And if present else ast.Or
        fits = isinstance(test.op, joined)
        return fits and any(_says(value, model, present=present) for value in test.values)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _says(test.operand, model, present=not present)
    if isinstance(test, ast.Compare) and ast.dump(test.left) == model:
        is_none = isinstance(test.comparators[0], ast.Constant)
        wanted = (ast.IsNot, ast.NotEq) if present else (ast.Is, ast.Eq)
        return is_none and isinstance(test.ops[0], wanted)
    return present and ast.dump(test) == model


def _is_first(node: ast.Subscript) -> bool:
    return isinstance(node.slice, ast.Constant) and node.slice.value == 0 and _loads(node)


def _loads(node: ast.Name | ast.Subscript) -> bool:
    return isinstance(node.ctx, ast.Load)


def _named(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""
