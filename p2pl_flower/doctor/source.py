"""A Python file as text: which names in it stand for what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import ConfigError


@dataclass(frozen=True)
class Source:
    """One Python file of a project, parsed but never imported.

    Attributes
    ----------
    path : Path
        Relative to the project's folder.
    text : str
        What stands in it.
    """

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree.

        Raises
        ------
        ConfigError
            The file is not valid Python.
        """
        try:
            return ast.parse(self.text)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 1
            rule = f"is not valid Python ({error.args[0]})"
            raise ConfigError("source", f"{self.path}:{line}", rule) from None

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the file, without their ends."""
        return self.text.splitlines()

    @cached_property
    def imports(self) -> dict[str, tuple[str, ast.stmt]]:
        """What each imported name stands for, and the statement that imports it."""
        found: dict[str, tuple[str, ast.stmt]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    found[name] = (alias.name if alias.asname else name, node)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    found[alias.asname or alias.name] = (f"{node.module}.{alias.name}", node)
        return found

    def stands_for(self, node: ast.AST) -> str:
        """Return the dotted name that an expression stands for; empty if it has none."""
        if isinstance(node, ast.Name):
            return self.imports[node.id][0] if node.id in self.imports else node.id
        if isinstance(node, ast.Attribute):
            base = self.stands_for(node.value)
            return f"{base}.{node.attr}" if base else ""
        return ""

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """Yield every call with the dotted name of what is called, in the order of lines."""
        found = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        for node in sorted(found, key=lambda call: (call.lineno, call.col_offset)):
            yield self.stands_for(node.func), node

    def classes(self) -> Iterator[ast.ClassDef]:
        """Yield every class."""
        yield from (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))

    def uses(self, name: str) -> list[ast.Name]:
        """Return every place where a name is read."""
        names = (node for node in ast.walk(self.tree) if isinstance(node, ast.Name))
        return [node for node in names if node.id == name]

    def assigned(self, name: str) -> ast.expr | None:
        """Return what is assigned to a name of the module, last."""
        value = None
        for node in self.tree.body:
            if isinstance(node, ast.Assign):
                targets, given = node.targets, node.value
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                targets, given = [node.target], node.value
            else:
                continue
            if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                value = given
        return value
