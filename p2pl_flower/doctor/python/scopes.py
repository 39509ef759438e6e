"""Which names a file binds where: by import, assignment, definition or as a parameter."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .source import Scope, Source

Bound = ast.alias | ast.expr | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.arg


@dataclass(frozen=True)
class Binding:
    """One place where a name gets its meaning.

    Attributes
    ----------
    node : ast.AST, optional
        The imported alias, the class, the function, the parameter, or the assigned value;
        none where the value cannot be told, as in ``a, b = f()``.
    statement : ast.stmt, optional
        The import statement, for an alias.
    """

    node: Bound | None
    statement: ast.Import | ast.ImportFrom | None = None


Bindings = dict[str, list[Binding]]


@cache
def bindings(scope: Scope) -> Bindings:
    """Return what a scope binds, in the order of lines."""
    found: Bindings = defaultdict(list)
    for name, binding in _in_scope(scope):
        found[name].append(binding)
    return dict(found)


def visible(source: Source, node: ast.AST, name: str) -> list[Binding]:
    """Return the bindings that a name has where a node stands; none if it is not bound."""
    scopes = [n for n in source.above(node) if isinstance(n, Scope)]
    inner = scopes[:1]  # the body of a class is seen by itself alone, not by its methods
    outer = [s for s in scopes[1:] if not isinstance(s, ast.ClassDef)]
    for scope in [*inner, *outer]:
        if found := bindings(scope).get(name):
            return found
    return []


def _in_scope(scope: Scope) -> Iterator[tuple[str, Binding]]:
    if not isinstance(scope, ast.Module | ast.ClassDef):
        yield from ((a.arg, Binding(a)) for a in _parameters(scope.args))
    body = [scope.body] if isinstance(scope, ast.Lambda) else scope.body
    for statement in body:
        yield from _bound(statement)


def _parameters(arguments: ast.arguments) -> list[ast.arg]:
    several = [arguments.vararg, arguments.kwarg]
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [*named, *(a for a in several if a is not None)]


def _bound(node: ast.AST) -> Iterator[tuple[str, Binding]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            plain = alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name
            yield alias.asname or plain, Binding(alias, node)
        return
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name, Binding(node)
        return  # what stands in it is another scope's
    if isinstance(node, ast.Lambda):
        return
    yield from _assigned(node)
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def _assigned(node: ast.AST) -> Iterator[tuple[str, Binding]]:
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        targets, value = [node.target], node.value
    else:
        plain = (ast.For, ast.AsyncFor, ast.comprehension, ast.AugAssign)
        names = [node.target] if isinstance(node, plain) else []
        names += [node.optional_vars] if isinstance(node, ast.withitem) else []  # type: ignore[list-item]
        for name in (n for target in names if target is not None for n in ast.walk(target)):
            if isinstance(name, ast.Name):
                yield name.id, Binding(None)
        return
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id, Binding(value)
        else:
            yield from _unpacked(target, value)


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, Binding]]:
    if not isinstance(target, ast.Tuple | ast.List):
        return
    alike = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
    for position, element in enumerate(target.elts):
        if isinstance(element, ast.Name):
            known = value.elts[position] if alike else None  # type: ignore[attr-defined]
            yield element.id, Binding(known)
