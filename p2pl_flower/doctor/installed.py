"""What the installed flwr has, read from its files: it is not imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .findings import Remark
from .project import PYPROJECT
from .python.modules import absolute
from .python.source import Source
from .versions import installed

_MISSING = (
    "the installed flwr ({}) has no {}: the import fails, with P2PL as without; run the project "
    "with the flwr that it was written for, or import what took its place"
)
_NAME = re.compile(r"[^\W\d_](?:[^\W_]|-){0,31}")
_UNFIT = (
    "{}: [project] name = {!r} is one that the installed flwr ({}) does not run, with P2PL as "
    "without: it takes a letter, and up to 31 letters, digits and hyphens"
)


def unfit_name(name: str) -> Iterator[str]:
    """Yield what to say of a project's name that the installed flwr does not take."""
    path = _file(_folder(), "flwr.cli.utils")
    asks = path is not None and "validate_project_name" in _words(path)
    if asks and name and not _NAME.fullmatch(name):
        yield _UNFIT.format(PYPROJECT, name, installed("flwr"))


def missing_imports(sources: list[Source]) -> Iterator[Remark]:
    """Yield what each file imports from flwr, and the installed flwr does not have."""
    folder = _folder()
    for source in sources if folder else ():
        imports = [n for n in source.live if isinstance(n, ast.ImportFrom)]
        flwrs = [node for node in imports if _is_flwr(absolute(source, node))]
        missing = [(node.lineno, name) for node in flwrs for name in _missing(folder, node)]
        if missing:
            listed = ", ".join(name for _, name in missing)
            yield Remark(source.path, missing[0][0], _MISSING.format(installed("flwr"), listed))


def _missing(folder: Path | None, node: ast.ImportFrom) -> Iterator[str]:
    module = node.module or ""
    path = _file(folder, module)
    if path is None:
        yield module
        return
    for alias in node.names:
        inner = _file(folder, f"{module}.{alias.name}")
        if alias.name != "*" and inner is None and alias.name not in _words(path):
            yield f"{module}.{alias.name}"


def _is_flwr(module: str) -> bool:
    return module.partition(".")[0] == "flwr"


@cache
def _folder() -> Path | None:
    """Return the folder of the installed flwr; none if there is none."""
    found = find_spec("flwr")
    return Path(found.origin).parent if found is not None and found.origin else None


def _file(folder: Path | None, module: str) -> Path | None:
    if folder is None:
        return None
    base = folder.joinpath(*module.split(".")[1:])
    return next((p for p in (base / "__init__.py", base.with_suffix(".py")) if p.is_file()), None)


@cache
def _words(path: Path) -> frozenset[str]:
    """Return the names that stand in a file: bound, imported, or in the table of lazy ones."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.alias):
            found.add(node.asname or node.name)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return frozenset(found)
