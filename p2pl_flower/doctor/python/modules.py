"""Which files of a project an app imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from ..project import Project
from .source import Source


def absolute(source: Source, node: ast.ImportFrom) -> str:
    """Return the dotted name of the module that a ``from`` statement names."""
    if not node.level:
        return node.module or ""
    parts = source.package.split(".") if source.package else []
    kept = parts[: len(parts) - (node.level - 1)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def reach(project: Project, source: Source) -> list[Source]:
    """Return a file and all files of the project that its imports reach, by path.

    Raises
    ------
    ConfigError
        One of them does not parse.
    """
    seen = {source.path: source}
    waiting = [source]
    for package in _packages(source.module):
        _visit(project, package, seen, waiting)
    while waiting:
        for name in _imported(waiting.pop()):
            for module in [*_packages(name), name]:
                _visit(project, module, seen, waiting)
    return [seen[path] for path in sorted(seen)]


def _visit(project: Project, name: str, seen: dict[Path, Source], waiting: list[Source]) -> None:
    found = project.module(name)
    if found is not None and found.path not in seen:
        seen[found.path] = found
        waiting.append(found)


def _packages(module: str) -> list[str]:
    """Return the packages that are imported before a module."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _imported(source: Source) -> Iterator[str]:
    for node in source.live:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(source, node)
            yield base
            yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import(node):
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _is_import(call: ast.Call) -> bool:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    return bool(call.args) and name in ("import_module", "__import__")
