"""What the run config of pyproject.toml says about a value that is read from it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from ..python.names import Names
from ..python.source import Source

_SIMPLE = ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.Constant
_DEFAULTS: Mapping[str, float] = {
    "fraction_train": 1.0,
    "fraction_evaluate": 1.0,
    "min_train_nodes": 2,
    "min_evaluate_nodes": 2,
    "proximal_mu": 0.0,
}


class RunConfig:
    """Values that code reads, as far as the text tells them.

    Parameters
    ----------
    names : Names
        Looks names up.
    values : Mapping[str, Any]
        What ``[tool.flwr.app.config]`` holds.
    scored : bool
        Whether the devices have something that evaluates.
    """

    def __init__(self, names: Names, values: Mapping[str, Any], scored: bool = True) -> None:
        self.names, self.scored = names, scored
        self._values = values

    def number(self, source: Source, node: ast.expr) -> float | None:
        """Return a number that stands in the text or in pyproject.toml; none if unknown."""
        for thing in self.names.things(source, node):
            value = self._value(thing.node)
            if isinstance(value, int | float):
                return float(value)
        return None

    def evaluate_every(self, source: Source, node: ast.expr) -> str:
        """Return the argument of P2PL that ``fraction_evaluate`` becomes; empty if it stays.

        A fraction of 0 means that nothing is evaluated. What is read from the run config may
        be set to 0 by ``--run-config``: where it is 0 by default, the question is asked when
        it runs.
        """
        if not self.scored:
            return ""
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return "" if node.value else "evaluate_every=0"
        if self.number(source, node):
            return ""
        code = source.code(node)
        if not isinstance(node, _SIMPLE):
            code = f"({code})"
        return f"evaluate_every=int({code} > 0)"

    def says_nothing_of_scoring(self, node: ast.expr) -> bool:
        """Return whether ``fraction_evaluate`` can go: all are scored anyway, or nobody."""
        return not self.scored or (isinstance(node, ast.Constant) and node.value == 1)

    def says_something(self, source: Source, name: str, node: ast.expr) -> bool:
        """Return whether an argument that goes has another value than the default."""
        return self.number(source, node) != _DEFAULTS.get(name)

    def _value(self, node: ast.AST | None) -> Any:
        """Return what an expression is by default."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
            return self._value(node.args[0]) if node.func.id in ("float", "int") else None
        key = _run_config_key(node)
        if key is None:
            return None
        value: Any = self._values
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict | Mapping) else None
        return self._values.get(key, value)


def _run_config_key(node: ast.AST | None) -> str | None:
    """Return the key where a value is read from a run config."""
    table, key = None, None
    if isinstance(node, ast.Subscript):
        table, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        table, key = (node.func.value, node.args[0]) if node.func.attr == "get" else (None, None)
    last = getattr(table, "attr", getattr(table, "id", ""))
    named = isinstance(key, ast.Constant) and isinstance(key.value, str)
    return str(key.value) if named and "config" in last else None  # type: ignore[union-attr]
