"""Which methods of the project's classes a call of an object's method may be of."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .names import Names
from .scopes import visible
from .source import Function, Source


class Methods:
    """The methods that the classes of some files define, by name.

    Parameters
    ----------
    names : Names
        Looks names up.
    sources : list[Source]
        The files.
    """

    def __init__(self, names: Names, sources: list[Source]) -> None:
        self._names = names
        self._above: dict[ast.ClassDef, set[ast.ClassDef]] = {}
        self._defined: dict[str, list[tuple[ast.ClassDef, Function]]] = {}
        for source in sources:
            for kind in source.classes():
                self._above[kind] = set(self._bases(source, kind))
                for method in (n for n in kind.body if isinstance(n, Function)):
                    self._defined.setdefault(method.name, []).append((kind, method))

    def called(self, source: Source, call: ast.Call) -> list[Function]:
        """Return the methods that a call may be of: those of its object's class, if that is known.

        Of a class there are its own, those above it, and those of classes that derive from it.
        """
        if not isinstance(call.func, ast.Attribute):
            return []
        defined = self._defined.get(call.func.attr, [])
        kinds = set(self._kinds(source, call.func.value))
        return [m for kind, m in defined if not kinds or any(self._akin(kind, k) for k in kinds)]

    def _kinds(self, source: Source, node: ast.expr) -> Iterator[ast.ClassDef]:
        """Yield the classes that an object is of, as far as the text tells."""
        if isinstance(node, ast.Name):
            for binding in visible(source, node, node.id):
                if isinstance(binding.node, ast.arg) and (kind := _own_class(source, binding.node)):
                    yield kind
        for thing in self._names.things(source, node):
            if thing.source is not None and isinstance(thing.node, ast.Call):
                for made in self._names.things(thing.source, thing.node.func):
                    if isinstance(made.node, ast.ClassDef):
                        yield made.node

    def _bases(self, source: Source, kind: ast.ClassDef) -> Iterator[ast.ClassDef]:
        for base in kind.bases:
            for thing in self._names.things(source, base):
                if isinstance(thing.node, ast.ClassDef) and thing.source is not None:
                    yield thing.node
                    yield from self._bases(thing.source, thing.node)

    def _akin(self, one: ast.ClassDef, other: ast.ClassDef) -> bool:
        """Return whether two classes are the same, or one derives from the other."""
        above = self._above
        return one is other or one in above.get(other, ()) or other in above.get(one, ())


def _own_class(source: Source, parameter: ast.arg) -> ast.ClassDef | None:
    """Return the class whose method has this as its first parameter, ``self``."""
    function = source.parents[source.parents[parameter]]
    kind = source.parents.get(function)
    if not isinstance(function, Function) or not isinstance(kind, ast.ClassDef):
        return None
    parameters = [*function.args.posonlyargs, *function.args.args]
    return kind if parameters[:1] == [parameter] else None
