"""Tables as they are written: ``{"a": 1, **more}``, ``dict(more, a=1)`` and ``one | other``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from ..python.edits import Edit, without
from ..python.source import Source


class Entry(NamedTuple):
    """One entry of a table, or one table that is merged into it.

    Attributes
    ----------
    node : ast.expr or ast.keyword
        Where it begins.
    key : str
        Its key; empty for a table that is merged into it.
    value : ast.expr
        What it holds.
    """

    node: ast.expr | ast.keyword
    key: str
    value: ast.expr

    def span(self, source: Source) -> tuple[int, int]:
        """Return where it begins and ends."""
        start, end = source.span(self.node)[0], source.span(self.value)[1]
        in_braces = not self.key and isinstance(source.parents[self.node], ast.Dict)
        return (source.text.rindex("**", 0, start) if in_braces else start), end


def is_table(node: ast.AST) -> bool:
    """Return whether an expression lists entries, whatever else is merged into them."""
    return isinstance(node, ast.Dict) or _is_made(node)


def inner_tables(node: ast.AST) -> list[ast.expr] | None:
    """Return the tables that are merged into one; None if it is no table, or its keys are not seen.

    Of ``a if b else c`` these are both.
    """
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [node.left, node.right]
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.Dict):
        keys = [k for k in node.keys if k is not None]
        if not all(isinstance(getattr(key, "value", None), str) for key in keys):
            return None
        return [v for k, v in zip(node.keys, node.values, strict=True) if k is None]
    if isinstance(node, ast.Call) and _is_made(node) and len(node.args) <= 1:
        return [*node.args, *(k.value for k in node.keywords if k.arg is None)]
    return None


def entries(source: Source, table: ast.AST) -> Iterator[Entry]:
    """Yield what a table lists, in its order."""
    if isinstance(table, ast.Dict):
        for key, value in zip(table.keys, table.values, strict=True):
            yield Entry(value if key is None else key, str(getattr(key, "value", "")), value)
    elif isinstance(table, ast.Call):
        yield from (Entry(a, "", a) for a in table.args)
        yield from (Entry(k, k.arg or "", k.value) for k in table.keywords)


def taken_out(source: Source, table: ast.AST, listed: list[Entry], gone: set[int]) -> list[Edit]:
    """Return the edits that take entries out of a table, by their places in it."""
    if not gone:
        return []
    start, end = source.span(table)  # type: ignore[arg-type]
    opened = source.text.index("(" if isinstance(table, ast.Call) else "{", start) + 1
    return without(source, [entry.span(source) for entry in listed], gone, opened, end - 1)


def _is_made(node: ast.AST) -> bool:
    """Return whether a call is ``dict(...)``, or an ``update`` of a table."""
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "id", "") == "dict" or getattr(function, "attr", "") == "update"
