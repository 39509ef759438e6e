"""What a name stands for, followed through the project's own modules."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..flwr_names import EXPORTS
from ..project import Project
from .modules import absolute
from .scopes import Binding, bindings, visible
from .source import Function, Source

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Thing:
    """What an expression stands for.

    Attributes
    ----------
    name : str
        Its dotted name, such as ``flwr.serverapp.strategy.FedAvg``; empty for a value.
    source : Source, optional
        The file of the project that it is in: none for what is in other packages.
    node : ast.AST, optional
        The class, the function or the value; none for a module.
    """

    name: str
    source: Source | None = None
    node: ast.AST | None = None

    @property
    def last(self) -> str:
        """The last part of its name."""
        return self.name.rpartition(".")[2]

    def is_flwr(self, *names: str) -> bool:
        """Return whether it is one of these names, anywhere in flwr."""
        return self.source is None and self.name.startswith("flwr.") and self.last in names


NOTHING = Thing("")


class Names:
    """Looks up what the expressions of a project stand for.

    Parameters
    ----------
    project : Project
        Whose modules are followed.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._known: dict[object, list[Thing]] = {}
        self._open: set[object] = set()  # what is being looked up: names may go in circles
        self._cut: set[object] = set()  # where a circle was cut, so that not all was found

    def things(self, source: Source, node: ast.AST) -> list[Thing]:
        """Return all that an expression may stand for, as far as the text tells.

        A name may be assigned in several places, a strategy be looked up in a table or made
        by a function: each is one of the things.
        """
        return self._once(node, lambda: self._things(source, node))

    def thing(self, source: Source, node: ast.AST) -> Thing:
        """Return what an expression stands for: the last where there are several."""
        found = self.things(source, node)
        return found[-1] if found else NOTHING

    def member(self, source: Source, name: str) -> list[Thing]:
        """Return what an attribute of a module of the project may be."""
        return self._once((source.path, name), lambda: self._member_of_module(source, name))

    def _once(self, key: object, look_up: Callable[[], list[Thing]]) -> list[Thing]:
        """Look something up, unless it is known or is being looked up already."""
        if key in self._known:
            return self._known[key]
        if key in self._open:
            self._cut.add(key)
            return []
        self._open.add(key)
        found = list(dict.fromkeys(look_up()))
        self._open.discard(key)
        self._cut.discard(key)
        if not self._cut:
            self._known[key] = found
        return found

    def _things(self, source: Source, node: ast.AST) -> list[Thing]:
        if isinstance(node, ast.Name):
            found = visible(source, node, node.id)
            known = [t for b in found for t in self._bound(source, node.id, b)]
            starred = list(self._starred(source, node.id))
            return [*known, *starred] if found or starred else [Thing(node.id)]
        if isinstance(node, ast.Attribute):
            bases = self.things(source, node.value)
            return [t for base in bases for t in self.attribute(base, node.attr)]
        values = _choices(node)
        if values:
            return [t for value in values for t in self.things(source, value)]
        return self._looked_up(source, node) or [Thing("", source, node)]

    def _member_of_module(self, source: Source, name: str) -> list[Thing]:
        found = [
            thing
            for binding in bindings(source.tree).get(name, [])
            for thing in self._bound(source, name, binding)
        ]
        inner = self.project.module(f"{source.module}.{name}")
        if not found and inner is not None and source.path.name == "__init__.py":
            return [Thing(inner.module, inner)]
        return [*found, *self._starred(source, name)]

    def _bound(self, source: Source, name: str, binding: Binding) -> list[Thing]:
        node = binding.node
        if isinstance(node, ast.alias):
            return self._imported(source, name, node, binding.statement)
        if isinstance(node, Definition):
            return [Thing(f"{source.module}.{node.name}", source, node)]
        if isinstance(node, ast.arg) and (kind := source.class_handed_to(node)) is not None:
            return self.member(source, kind.name) or [Thing("", source, node)]
        if node is None or isinstance(node, ast.arg):
            return [Thing("", source, node)]
        return self.things(source, node)

    def _imported(
        self, source: Source, name: str, alias: ast.alias, statement: ast.stmt | None
    ) -> list[Thing]:
        if isinstance(statement, ast.ImportFrom):
            module = absolute(source, statement)
            here = self.project.module(module)
            if here is not None and (found := self.member(here, alias.name)):
                return found
            dotted = f"{module}.{alias.name}".lstrip(".")
            return [Thing(dotted, self.project.module(dotted))]
        dotted = alias.name if alias.asname else name
        return [Thing(dotted, self.project.module(dotted))]

    def attribute(self, base: Thing, name: str) -> list[Thing]:
        """Return what an attribute of a module or of a class may be."""
        if base.source is not None and base.node is None:
            return self.member(base.source, name)
        if base.name and base.node is None:
            dotted = f"{base.name}.{name}"
            return [Thing(dotted, self.project.module(dotted))]
        if isinstance(base.node, ast.ClassDef) and base.source is not None:
            full, source = f"{base.name}.{name}", base.source
            found = bindings(base.node).get(name, [])
            return [t for binding in found for t in self._bound(source, full, binding)]
        return []

    def _starred(self, source: Source, name: str) -> Iterator[Thing]:
        for statement in source.star_imports:
            module = absolute(source, statement)
            here = self.project.module(module)
            if here is not None:
                yield from self.member(here, name)
            elif name in EXPORTS.get(module, ()):
                yield Thing(f"{module}.{name}")

    def _looked_up(self, source: Source, node: ast.AST) -> list[Thing]:
        """Return what may be found in a table, or be returned by a function of the project."""
        if isinstance(node, ast.Subscript):
            return self._entries(source, node.value)
        if not isinstance(node, ast.Call):
            return []
        found = self._imported_or_asked_for(source, node)
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in ("get", "pop"):
            found = self._entries(source, function.value)
            found += [t for a in node.args[1:] for t in self.things(source, a) if found]
        for made in self.things(source, function):
            if made.source is not None and isinstance(made.node, Function):
                found += self._returned(made.source, made.node)
        return found

    def _imported_or_asked_for(self, source: Source, call: ast.Call) -> list[Thing]:
        """Return what ``import_module("m")`` and ``getattr(m, "name")`` give."""
        text = text_of(call.args[-1]) if call.args else None
        called = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if text is None or called not in ("import_module", "getattr"):
            return []
        if called == "getattr" and len(call.args) == 2:
            asked = self.things(source, call.args[0])
            return [t for base in asked for t in self.attribute(base, text)]
        is_import = self.thing(source, call.func).name == "importlib.import_module"
        return [Thing(text, self.project.module(text))] if is_import else []

    def _entries(self, source: Source, node: ast.expr) -> list[Thing]:
        tables = [
            (table.source, table.node)
            for table in self.things(source, node)
            if table.source is not None and isinstance(table.node, ast.Dict)
        ]
        return [t for where, d in tables for v in d.values for t in self.things(where, v)]

    def _returned(self, source: Source, function: Function) -> list[Thing]:
        returned = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value and source.function(node) is function
        ]
        return [t for value in returned for t in self.things(source, value)]


def text_of(node: ast.AST) -> str | None:
    """Return a text that is written out; none if an expression is something else."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else None


def _choices(node: ast.AST) -> list[ast.expr]:
    """Return the expressions of which one is the value of another."""
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.BoolOp):
        return node.values
    return [node.value] if isinstance(node, ast.NamedExpr | ast.Await) else []
