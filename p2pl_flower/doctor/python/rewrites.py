"""All changes to the Python files of a project, collected from whoever finds one."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cached_property

from ..findings import Changed
from ..project import Project
from .edits import Edit, applied
from .imports import HOME, Imports
from .modules import absolute
from .source import Source


class Rewrites:
    """Collects edits and the imports that they need, file by file.

    Parameters
    ----------
    project : Project
        Whose files they are.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._edits: dict[Source, list[Edit]] = defaultdict(list)
        self._imports: dict[Source, Imports] = {}

    def edit(self, source: Source, *edits: Edit) -> None:
        """Add changes to a file."""
        self._edits[source] += edits

    def rename(self, source: Source, node: ast.expr, new: str) -> None:
        """Put a name of p2pl_flower where one of Flower's stands, and import it.

        Where the file has another meaning for that name, the module's is written out.
        """
        taken = self._importing(source).has_other(new)
        self.edit(source, Edit(*source.span(node), f"{HOME}.{new}" if taken else new))
        self._importing(source).replace(node, f"import {HOME}" if taken else new)

    def need(self, source: Source, statement: str) -> None:
        """Add an import statement to a file."""
        self._importing(source).need(statement)

    def changed(self) -> list[Changed]:
        """Return the files that change, by path."""
        found = []
        for source in {*self._edits, *self._imports}:
            edits = [*self._edits[source]]
            if source in self._imports:
                edits += self._imports[source].edits()
            found.append(
                Changed(source.path, source.text, applied(source.text, edits), source.encoding)
            )
        return sorted((c for c in found if c.old != c.new), key=lambda c: c.path)

    def _importing(self, source: Source) -> Imports:
        if source not in self._imports:
            self._imports[source] = Imports(source, self._exported[source.module])
        return self._imports[source]

    @cached_property
    def _exported(self) -> dict[str, frozenset[str]]:
        """What files of the project import from each module."""
        found: dict[str, frozenset[str]] = defaultdict(frozenset)
        for path in self._project.python_files():
            source = self._project.source(path)
            for node in source.live if not source.problem else ():
                if isinstance(node, ast.ImportFrom):
                    module = absolute(source, node)
                    here = self._project.module(module)
                    known = here.module if here is not None else module
                    found[known] |= {alias.name for alias in node.names}
        return found
