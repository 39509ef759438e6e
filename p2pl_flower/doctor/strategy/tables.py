"""Tables of arguments, ``FedAvg(**options)``: FedAvg's own entries go from them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..findings import Remark
from ..flwr_names import OWN_ARGUMENTS
from ..python.edits import Edit
from ..python.scopes import Binding, visible
from ..python.source import Source
from .arguments import unseen
from .run_config import RunConfig
from .signatures import Init, bound
from .written_tables import Entry, entries, inner_tables, is_table, taken_out

_SCORED = "fraction_evaluate"

Chains = list[list[Init]]


@dataclass
class _Variable:
    """A variable that holds a table.

    Attributes
    ----------
    source : Source
        The file.
    bindings : list[Binding]
        Where it gets its values.
    uses : list[ast.Name]
        Where it is given to a strategy, or merged into what is.
    chains : list[list[Init]]
        How those strategies take their arguments.
    """

    source: Source
    bindings: list[Binding]
    uses: list[ast.Name] = field(default_factory=list)
    chains: Chains = field(default_factory=list)


class Tables:
    """Collects the tables that strategies are given as ``**table``.

    Tables that are merged, ``{**base, "lr": 1}`` and ``base | other``, are followed into each.

    Parameters
    ----------
    config : RunConfig
        Values of arguments.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._variables: dict[tuple[Source, str, tuple[int, ...]], _Variable] = {}
        self._written: dict[tuple[Source, ast.AST], Chains] = {}
        self._given: dict[ast.expr, tuple[Source, list[ast.AST], bool]] = {}

    def add(self, source: Source, node: ast.expr, chain: list[Init]) -> None:
        """Note a table that a call which changes is given."""
        written: list[ast.AST] = []
        seen = self._follow(source, node, chain, written)
        self._given[node] = source, written, seen

    def edits(self) -> Iterator[tuple[Source, list[Edit]]]:
        """Yield the edits of the tables that can be followed."""
        for (source, table), chains in self._written.items():
            yield source, self._entries(source, table, chains)
        for variable in self._variables.values():
            for statement, target in _assigned(variable):
                edit = self._assignment(variable, statement, target)
                yield variable.source, [] if edit is None else [edit]

    def problems(self) -> Iterator[Remark]:
        """Yield the tables that cannot be followed."""
        for node, (source, written, seen) in self._given.items():
            if not seen or self._differ(source, written) or self._is_torn(source, written):
                yield Remark(source.path, node.lineno, unseen(source, node))
        for variable in self._variables.values():
            if self._is_lost(variable):
                for use in variable.uses:
                    yield Remark(variable.source.path, use.lineno, unseen(variable.source, use))

    def _follow(
        self, source: Source, node: ast.AST | None, chain: list[Init], written: list[ast.AST]
    ) -> bool:
        """Note what a table is made of; return whether all of it can be seen."""
        if isinstance(node, ast.Name):
            return self._variable(source, node, chain, written)
        inner = None if node is None else inner_tables(node)
        if node is None or inner is None:
            return False
        if is_table(node):
            self._written.setdefault((source, node), []).append(chain)
            written.append(node)
        seen = [self._follow(source, each, chain, written) for each in inner]
        return all(seen)

    def _variable(
        self, source: Source, node: ast.Name, chain: list[Init], written: list[ast.AST]
    ) -> bool:
        found = visible(source, node, node.id)
        key = source, node.id, tuple(id(b.node) for b in found)
        variable = self._variables.setdefault(key, _Variable(source, found))
        variable.uses += [node] if node not in variable.uses else []
        if any(chain is known for known in variable.chains):
            return True
        variable.chains.append(chain)
        merged = [n for n in _mentions(variable) if (n is not node) and _merges(source, n)]
        values: list[ast.AST | None] = [b.node for b in found if b.node is not None]
        unknown = len(found) - len(values) - sum(_is_augmented(source, n) for n in merged)
        values += [each for n in merged for each in _merges(source, n)]
        seen = [self._follow(source, value, chain, written) for value in values]
        return bool(found) and not unknown and all(seen)

    def _is_lost(self, variable: _Variable) -> bool:
        """Return whether a table is used for something else too, or what goes shares a line."""
        source = variable.source
        known = {target.value for _, target in _assigned(variable)}
        for node in _mentions(variable):
            read = isinstance(node.ctx, ast.Load) and node not in variable.uses
            if read and node not in known and not _merges(source, node):
                return True
        return any(self._assignment(variable, *each) is None for each in _assigned(variable))

    def _differ(self, source: Source, written: list[ast.AST]) -> bool:
        """Return whether tables that are merged say different things of what is scored."""
        values = [v for table in written for _, key, v in entries(source, table) if key == _SCORED]
        return len({self._config.evaluate_every(source, value) for value in values}) > 1

    def _is_torn(self, source: Source, written: list[ast.AST]) -> bool:
        """Return whether an entry is Flower's for one strategy, and another class's own."""
        for table in written:
            chains = self._written[source, table]
            for entry in entries(source, table):
                if len({self._is_flowers(entry.key, [chain]) for chain in chains}) > 1:
                    return True
        return False

    def _assignment(
        self, variable: _Variable, statement: ast.Assign, target: ast.Subscript
    ) -> Edit | None:
        """Return what becomes of ``table["key"] = value``; None where that cannot be done."""
        source, key = variable.source, str(getattr(target.slice, "value", ""))
        start, end = source.span(statement)
        if not self._is_flowers(key, variable.chains):
            return Edit(start, end, source.text[start:end])
        if key != _SCORED or self._config.says_nothing_of_scoring(statement.value):
            return _removed(source, statement)
        new = self._config.evaluate_every(source, statement.value).partition("=")[2]
        text = f'{source.code(target.value)}["evaluate_every"] = {new}'
        return Edit(start, end, text if new else source.text[start:end])

    def _entries(self, source: Source, table: ast.AST, chains: Chains) -> list[Edit]:
        """Return the edits that take entries out of a table that is written out."""
        listed = list(entries(source, table))
        edits, gone = [], set()
        for i, entry in enumerate(listed):
            if self._is_flowers(entry.key, chains):
                new = self._evaluate(source, entry)
                stays = entry.key == _SCORED and not self._config.says_nothing_of_scoring(
                    entry.value
                )
                gone |= set() if stays else {i}
                edits += [new] if new else []
        return edits + taken_out(source, table, listed, gone)

    def _evaluate(self, source: Source, entry: Entry) -> Edit | None:
        """Return what becomes of an entry that says how many devices are scored."""
        new = self._config.evaluate_every(source, entry.value) if entry.key == _SCORED else ""
        if not new:
            return None
        name, _, value = new.partition("=")
        text = new if isinstance(entry.node, ast.keyword) else f'"{name}": {value}'
        return Edit(*entry.span(source), text)

    def _is_flowers(self, key: str, chains: Chains) -> bool:
        """Return whether an entry is an argument of Flower's that goes, or may have to change."""
        return all(bound(chain, None, key) in OWN_ARGUMENTS | {_SCORED} for chain in chains)


def _mentions(variable: _Variable) -> list[ast.Name]:
    """Return all places where the variable stands."""
    source, name = variable.source, variable.uses[0].id
    return [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Name)
        and node.id == name
        and visible(source, node, name) == variable.bindings
    ]


def _assigned(variable: _Variable) -> list[tuple[ast.Assign, ast.Subscript]]:
    """Return the statements ``table["key"] = value`` of a variable."""
    parents = variable.source.parents
    found = []
    for node in _mentions(variable):
        target = parents[node]
        statement = parents.get(target)
        if isinstance(target, ast.Subscript) and isinstance(statement, ast.Assign):
            is_text = isinstance(getattr(target.slice, "value", None), str)
            if target in statement.targets and is_text:
                found.append((statement, target))
    return found


def _merges(source: Source, node: ast.Name) -> list[ast.AST]:
    """Return the tables that ``name.update(table)`` and ``name |= table`` merge into a name's."""
    parent = source.parents[node]
    if _is_augmented(source, node):
        return [parent.value]  # type: ignore[attr-defined]
    call = source.parents.get(parent)
    updates = isinstance(parent, ast.Attribute) and parent.attr == "update"
    if not updates or not isinstance(call, ast.Call) or call.func is not parent:
        return []
    return [call]


def _is_augmented(source: Source, node: ast.Name) -> bool:
    parent = source.parents[node]
    merges = isinstance(parent, ast.AugAssign) and isinstance(parent.op, ast.BitOr)
    return merges and parent.target is node  # type: ignore[attr-defined]


def _removed(source: Source, statement: ast.Assign) -> Edit | None:
    """Return the edit that takes out a statement, and leaves ``pass`` where it stood alone.

    None is returned where it shares its line with another.
    """
    start, end = source.span(statement)
    line = source.text[source.line_start(start) : start] + source.text[end : source.line_end(end)]
    if ";" in line:
        return None
    parent = source.parents[statement]
    blocks = [getattr(parent, name, []) for name in ("body", "orelse", "finalbody")]
    if any(block == [statement] for block in blocks):
        return Edit(start, end, "pass")
    return Edit(source.line_start(start), source.line_end(end), "")
