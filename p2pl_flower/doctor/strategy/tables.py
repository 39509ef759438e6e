"""Tables of arguments, ``FedAvg(**options)``: FedAvg's own entries go from them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Remark
from ..flwr_names import OWN_ARGUMENTS
from ..python.edits import Edit, without
from ..python.scopes import visible
from ..python.source import Source
from .arguments import unseen
from .run_config import RunConfig
from .signatures import Init, bound

Entry = tuple[ast.expr | ast.keyword, str, ast.expr]  # where it stands, its key, its value


class Tables:
    """Collects the variables that strategies are given as ``**variable``.

    Parameters
    ----------
    config : RunConfig
        Values of arguments.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._given: dict[tuple[Source, str], list[tuple[ast.Name, list[Init]]]] = {}

    def add(self, source: Source, node: ast.Name, chain: list[Init]) -> None:
        """Note a variable that a call which changes is given."""
        self._given.setdefault((source, node.id), []).append((node, chain))

    def edits(self) -> Iterator[tuple[Source, list[Edit]]]:
        """Yield the edits of the tables that can be followed."""
        for (source, _), uses in self._given.items():
            found = self._edits(source, uses)
            if found:
                yield source, found

    def problems(self) -> Iterator[Remark]:
        """Yield the tables that cannot be followed."""
        for (source, _), uses in self._given.items():
            if self._edits(source, uses) is None:
                for node, _ in uses:
                    yield Remark(source.path, node.lineno, unseen(source, node))

    def _edits(self, source: Source, uses: list[tuple[ast.Name, list[Init]]]) -> list[Edit] | None:
        """Return the edits of one table; none if it is used for something else too."""
        first = uses[0][0]
        bindings = visible(source, first, first.id)
        tables = [b.node for b in bindings]
        if not tables or not all(_is_table(t) for t in tables):
            return None
        edits: list[Edit] = []
        mine = {node for node, _ in uses}
        for node in ast.walk(source.tree):
            same = isinstance(node, ast.Name) and node.id == first.id and node not in mine
            if same and visible(source, node, first.id) == bindings:
                changed = self._changed(source, node, uses)
                if changed is None:
                    return None
                edits += changed
        for table in tables:
            assert table is not None  # noqa: S101
            edits += self._entries(source, table, uses)
        return edits

    def _changed(
        self, source: Source, node: ast.AST, uses: list[tuple[ast.Name, list[Init]]]
    ) -> list[Edit] | None:
        """Return the edits where an entry is added; none where the table is read."""
        parent = source.parents[node]
        statement = source.parents.get(parent)
        if isinstance(parent, ast.Assign | ast.AnnAssign):
            return []
        if isinstance(parent, ast.Subscript) and isinstance(statement, ast.Assign):
            key = getattr(parent.slice, "value", None)
            if not isinstance(key, str) or parent not in statement.targets:
                return None
            if not self._goes(key, uses):
                return []
            removed = _removed(source, statement)
            return None if removed is None else [removed]
        updates = isinstance(parent, ast.Attribute) and parent.attr == "update"
        if not updates or not isinstance(statement, ast.Call) or len(statement.args) > 1:
            return None
        given = statement.args[0] if statement.args else statement
        return self._entries(source, given, uses) if _is_table(given) else None

    def _entries(
        self, source: Source, table: ast.AST, uses: list[tuple[ast.Name, list[Init]]]
    ) -> list[Edit]:
        """Return the edits that take entries out of a table that is written out."""
        entries = list(_listed(table))
        edits, gone = [], set()
        for i, (node, key, value) in enumerate(entries):
            new = ""
            if self._goes(key, uses):
                new = self._evaluate(source, key, value)
                gone |= set() if new else {i}
            if new:
                name, _, rest = new.partition("=")
                text = new if isinstance(node, ast.keyword) else f'"{name}": {rest}'
                edits.append(Edit(*_span(source, node, value), text))
        if gone:
            spans = [_span(source, node, value) for node, _, value in entries]
            start, end = source.span(table)  # type: ignore[arg-type]
            opened = source.text.index("(" if isinstance(table, ast.Call) else "{", start) + 1
            edits += without(source, spans, gone, opened, end - 1)
        return edits

    def _evaluate(self, source: Source, key: str, value: ast.expr) -> str:
        return self._config.evaluate_every(source, value) if key == "fraction_evaluate" else ""

    def _goes(self, key: str, uses: list[tuple[ast.Name, list[Init]]]) -> bool:
        return all(bound(chain, None, key) in OWN_ARGUMENTS for _, chain in uses)


def _is_table(node: ast.AST | None) -> bool:
    """Return whether an expression is a table with all its keys written out."""
    if isinstance(node, ast.Dict):
        return all(isinstance(getattr(key, "value", None), str) for key in node.keys)
    if isinstance(node, ast.Call) and not any(k.arg is None for k in node.keywords):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        return name in ("dict", "update") and not node.args
    return False


def _listed(table: ast.AST) -> Iterator[Entry]:
    if isinstance(table, ast.Dict):
        for key, value in zip(table.keys, table.values, strict=True):
            if key is not None:
                yield key, str(getattr(key, "value", "")), value
    elif isinstance(table, ast.Call):
        yield from ((k, str(k.arg), k.value) for k in table.keywords)


def _span(source: Source, node: ast.expr | ast.keyword, value: ast.expr) -> tuple[int, int]:
    return source.span(node)[0], source.span(value)[1]


def _removed(source: Source, statement: ast.Assign) -> Edit | None:
    """Return the edit that takes out a statement, and leaves ``pass`` where it stood alone.

    None is returned where it shares its line with another.
    """
    start, end = source.span(statement)
    if (
        ";"
        in source.text[source.line_start(start) : start] + source.text[end : source.line_end(end)]
    ):
        return None
    parent = source.parents[statement]
    blocks = [getattr(parent, name, []) for name in ("body", "orelse", "finalbody")]
    if any(block == [statement] for block in blocks):
        return Edit(start, end, "pass")
    return Edit(source.line_start(start), source.line_end(end), "")
