"""The imports of a file: what comes from p2pl_flower, and what is imported for nothing then."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator

from .edits import Edit, without
from .scopes import Binding, bindings, visible
from .source import Scope, Source

HOME = "p2pl_flower"


class Imports:
    """Collects, for one file, the names that are replaced by names of p2pl_flower.

    Parameters
    ----------
    source : Source
        The file.
    exported : frozenset[str]
        What other files import from it.
    """

    def __init__(self, source: Source, exported: frozenset[str] = frozenset()) -> None:
        self.source, self._exported = source, exported
        self._new: dict[ast.stmt, list[str]] = defaultdict(list)
        self._replaced: set[ast.Name] = set()

    def replace(self, node: ast.expr, new: str) -> None:
        """Note that an expression, a name or attributes of one, makes way for a new name."""
        root = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name):
            self._replaced.add(root)
        for statement in self._statements(root):
            if new not in self._new[statement] and not self._has(root, new):
                self._new[statement].append(new)

    def has_other(self, new: str) -> bool:
        """Return whether a name of p2pl_flower means something else anywhere in the file."""
        scopes = (n for n in ast.walk(self.source.tree) if isinstance(n, Scope))
        found = (b.statement for scope in scopes for b in bindings(scope).get(new, []))
        return any(getattr(statement, "module", "") != HOME for statement in found)

    def need(self, line: str) -> None:
        """Note that the module needs another import statement."""
        [statement] = self._statements(self.source.tree)
        if line not in self._new[statement]:
            self._new[statement].append(line)

    def edits(self) -> Iterator[Edit]:
        """Yield the edits of the import statements."""
        gone = self._unused()
        for statement in [*self._new, *(s for s in gone if s not in self._new)]:
            yield from self._of(statement, gone.get(statement, []))

    def _of(self, statement: ast.stmt, gone: list[ast.alias]) -> Iterator[Edit]:
        source = self.source
        start, end = source.span(statement)
        indent = source.text[source.line_start(start) : start]
        lines = list(_written(self._new.get(statement, [])))
        if isinstance(statement, ast.Import | ast.ImportFrom) and len(gone) == len(statement.names):
            joined = ("; " if indent.strip() else f"{source.newline}{indent}").join(lines)
            yield Edit(start, end, joined) if lines else _gone(source, statement)
            return
        if lines:
            yield self._added(statement, indent, lines)
        if isinstance(statement, ast.ImportFrom) and gone:
            yield from self._aliases(statement, gone)

    def _added(self, statement: ast.stmt, indent: str, lines: list[str]) -> Edit:
        source = self.source
        if indent.strip():  # it stands behind something else in its line
            end = source.span(statement)[1]
            return Edit(end, end, "".join(f"; {line}" for line in lines))
        text = "".join(f"{indent}{line}{source.newline}" for line in lines)
        if isinstance(statement, ast.Import | ast.ImportFrom) or _is_docstring(statement):
            at = source.line_end(source.span(self._last_of(statement))[1])
            ended = source.text[:at].endswith("\n")
            return Edit(at, at, text if ended else source.newline + text)
        at = source.line_start(source.span(statement)[0])
        return Edit(at, at, text)

    def _last_of(self, statement: ast.stmt) -> ast.stmt:
        """Return the last of the imports of flwr that come right after a statement."""
        around = getattr(self.source.parents.get(statement), "body", [])
        following = around[around.index(statement) + 1 :] if statement in around else []
        for other in following:
            if not (isinstance(other, ast.Import | ast.ImportFrom) and _is_flwr(other)):
                break
            if other.lineno != (statement.end_lineno or 0) + 1:
                break
            statement = other
        return statement

    def _aliases(self, statement: ast.ImportFrom, gone: list[ast.alias]) -> list[Edit]:
        source = self.source
        start, end = source.span(statement)
        items = [source.span(alias) for alias in statement.names]
        first = source.text.rfind("(", start, items[0][0]) + 1 or items[0][0]
        positions = {i for i, alias in enumerate(statement.names) if alias in gone}
        return without(source, items, positions, first, end)

    def _unused(self) -> dict[ast.stmt, list[ast.alias]]:
        """Return the imported names of which all uses are replaced, by their statements."""
        found: dict[ast.stmt, list[ast.alias]] = defaultdict(list)
        used = [n for n in ast.walk(self.source.tree) if isinstance(n, ast.Name)]
        for name in {node.id for node in self._replaced}:
            uses = [node for node in used if node.id == name]
            if self._is_exported(name) or not self._replaced.issuperset(uses):
                continue
            for binding in self._bindings(uses):
                if isinstance(binding.node, ast.alias) and binding.statement is not None:
                    found[binding.statement].append(binding.node)
        return found

    def _bindings(self, uses: Iterable[ast.Name]) -> list[Binding]:
        found = (b for use in uses for b in visible(self.source, use, use.id))
        return list(dict.fromkeys(found))

    def _is_exported(self, name: str) -> bool:
        """Return whether others import a name from this file, or may: it is in ``__all__``."""
        if name in self._exported:
            return True
        named = [n for b in bindings(self.source.tree).get("__all__", []) for n in _walk(b.node)]
        return any(isinstance(n, ast.Constant) and n.value == name for n in named)

    def _statements(self, root: ast.AST) -> list[ast.stmt]:
        """Return the statements that import a name, or one that an import can stand next to.

        There are several where one of them runs: in ``try`` and ``except``, say.
        """
        if isinstance(root, ast.Name):
            bound = [b.statement for b in visible(self.source, root, root.id)]
            if found := [s for s in bound if s is not None]:
                return list(dict.fromkeys(found))
        body = self.source.tree.body
        imports = [s for s in body if isinstance(s, ast.Import | ast.ImportFrom)]
        return [imports[-1] if imports else body[0]]

    def _has(self, root: ast.AST, new: str) -> bool:
        """Return whether a name of p2pl_flower is imported where another stands."""
        found = visible(self.source, root, new) or bindings(self.source.tree).get(new, [])
        return any(
            isinstance(b.statement, ast.ImportFrom) and b.statement.module == HOME for b in found
        )


def _written(new: list[str]) -> Iterator[str]:
    names = sorted(name for name in new if " " not in name)
    if names:
        yield f"from {HOME} import {', '.join(names)}"
    yield from (line for line in new if " " in line)


def _gone(source: Source, statement: ast.stmt) -> Edit:
    """Return the edit that takes out a statement with its line.

    What it shares with others stays: a line, and a block that would be left without any.
    """
    start, end = source.span(statement)
    top, bottom = source.line_start(start), source.line_end(end)
    alone = not (source.text[top:start] + source.text[end:bottom]).partition("#")[0].strip()
    parent = source.parents[statement]
    blocks = [getattr(parent, name, []) for name in ("body", "orelse", "finalbody")]
    if alone and [statement] not in blocks:
        return Edit(top, bottom, "")
    return Edit(start, end, "pass")


def _walk(node: ast.AST | None) -> Iterator[ast.AST]:
    return ast.walk(node) if node is not None else iter(())


def _is_flwr(statement: ast.Import | ast.ImportFrom) -> bool:
    module = getattr(statement, "module", None) or statement.names[0].name
    return bool(module.partition(".")[0] == "flwr")


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
