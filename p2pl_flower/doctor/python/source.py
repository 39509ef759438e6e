"""A Python file as text and as a syntax tree: where what stands, and which of it runs."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...errors import ConfigError

PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"
"""The version by whose grammar files are read."""

_NOT_RUN = ("__name__", "TYPE_CHECKING")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, eq=False)
class Source:
    """One Python file of a project, parsed but never imported.

    Attributes
    ----------
    path : Path
        Relative to the project's folder.
    text : str
        What stands in it, with the line ends that the file has.
    encoding : str
        How the file is written; ``utf-8-sig`` where it begins with a byte order mark.
    unreadable : str
        Why its text is not known; empty if it is.
    """

    path: Path
    text: str
    encoding: str = "utf-8"
    unreadable: str = ""

    @classmethod
    def read(cls, folder: Path, path: Path) -> Source:
        """Read a file in the encoding that it names, or in UTF-8."""
        try:
            data = (folder / path).read_bytes()
            encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
            return cls(path, data.decode(encoding), encoding)
        except (SyntaxError, UnicodeDecodeError, LookupError) as error:
            rule = f"is not in the encoding that it names, or not in UTF-8 ({error})"
            return cls(path, "", unreadable=rule)
        except OSError as error:
            return cls(path, "", unreadable=f"cannot be read ({error.strerror})")

    @property
    def module(self) -> str:
        """The dotted name by which the project imports it."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def package(self) -> str:
        """The dotted name of the package that a relative import in it begins from."""
        return ".".join(self.path.parts[:-1])

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree.

        Raises
        ------
        ConfigError
            The file cannot be read, or does not parse.
        """
        if problem := self.problem:
            raise ConfigError("source", str(self.path), problem)
        return self._parsed[0]

    @property
    def problem(self) -> str:
        """Why it cannot be read or does not parse; the empty text if it does."""
        return self.unreadable or self._parsed[1]

    @cached_property
    def _parsed(self) -> tuple[ast.Module, str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.text), ""
        except (SyntaxError, ValueError, RecursionError) as error:
            line = getattr(error, "lineno", None) or 1
            why = error.args[0] if error.args else type(error).__name__
            return ast.Module([], []), f"line {line} does not parse as {PYTHON} ({why})"

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the file as Python counts them, with their ends."""
        return io.StringIO(self.text, newline="").readlines()

    @cached_property
    def _offsets(self) -> list[int]:
        offsets = [0]
        for line in self.lines:
            offsets.append(offsets[-1] + len(line))
        return offsets

    def offset(self, line: int, column: int) -> int:
        """Return the index in `text` of a position; its column counts bytes of UTF-8."""
        if line > len(self.lines):
            return len(self.text)
        within = self.lines[line - 1].encode()[:column].decode(errors="ignore")
        return self._offsets[line - 1] + len(within)

    def span(self, node: ast.expr | ast.stmt | ast.alias | ast.keyword) -> tuple[int, int]:
        """Return where in `text` a node begins and ends."""
        last = node.end_lineno or node.lineno
        end = self.offset(last, node.end_col_offset or 0)
        return self.offset(node.lineno, node.col_offset), end

    def code(self, node: ast.expr | ast.stmt | ast.alias | ast.keyword) -> str:
        """Return a node's text, as the user wrote it."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_start(self, offset: int) -> int:
        """Return where the line begins that an index lies in."""
        return self.text.rfind("\n", 0, offset) + 1

    def line_end(self, offset: int) -> int:
        """Return where the line after the one begins that an index lies in."""
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end + 1

    @property
    def newline(self) -> str:
        """How its lines end."""
        return "\r\n" if "\r\n" in self.text else "\n"

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node that each node is part of."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield the nodes that a node is part of, from the innermost to the module."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def scope(self, node: ast.AST) -> Scope:
        """Return the innermost function, class or module that a node is in."""
        return next(n for n in self.above(node) if isinstance(n, Scope))

    def function(self, node: ast.AST) -> Function | None:
        """Return the innermost function that a node is in."""
        return next((n for n in self.above(node) if isinstance(n, Function)), None)

    def class_handed_to(self, parameter: ast.arg) -> ast.ClassDef | None:
        """Return the class that the first parameter of a ``classmethod`` is."""
        function = self.parents[self.parents[parameter]]
        kind = self.parents.get(function)
        if not isinstance(function, Function) or not isinstance(kind, ast.ClassDef):
            return None
        parameters = [*function.args.posonlyargs, *function.args.args]
        decorators = {getattr(d, "id", "") for d in function.decorator_list}
        return kind if "classmethod" in decorators and parameters[:1] == [parameter] else None

    @cached_property
    def live(self) -> list[ast.AST]:
        """All nodes but those that never run when the file is imported, in the order of lines.

        What stands under ``if __name__ == "__main__"`` and ``if TYPE_CHECKING`` is left out.
        """
        found = list(_running(self.tree))
        return sorted(found, key=lambda n: (getattr(n, "lineno", 0), getattr(n, "col_offset", 0)))

    @cached_property
    def star_imports(self) -> list[ast.ImportFrom]:
        """The statements ``from module import *``."""
        imports = [node for node in self.live if isinstance(node, ast.ImportFrom)]
        return [node for node in imports if node.names[0].name == "*"]

    def calls(self) -> Iterator[ast.Call]:
        """Yield every call that may run."""
        yield from (node for node in self.live if isinstance(node, ast.Call))

    def classes(self) -> Iterator[ast.ClassDef]:
        """Yield every class that may be defined."""
        yield from (node for node in self.live if isinstance(node, ast.ClassDef))


def _running(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _never(child.test):
            for other in child.orelse:
                yield from _running(other)
        else:
            yield from _running(child)


def _never(test: ast.expr) -> bool:
    names = {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(test)}
    return bool(names & set(_NOT_RUN)) and not any(isinstance(n, ast.Not) for n in ast.walk(test))
