"""The functions that a ClientApp of the message API registers, and what they return."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from .app_objects import makes_app
from .python.names import Names
from .python.source import Function, Source

_RECORDS = ("ArrayRecord", "MetricRecord", "ConfigRecord")
_FORMER = {
    "ParametersRecord": _RECORDS[0],
    "MetricsRecord": _RECORDS[1],
    "ConfigsRecord": _RECORDS[2],
}


@dataclass(frozen=True)
class Registered:
    """A function that answers messages of one kind.

    Attributes
    ----------
    source, line : Source, int
        Where it is registered.
    function : ast.FunctionDef or ast.AsyncFunctionDef, optional
        The function; none if it cannot be seen.
    action : str
        The action of its own that it answers; empty for the usual messages.
    """

    source: Source
    line: int
    function: Function | None
    action: str


def registered(names: Names, sources: list[Source], kind: str) -> Iterator[Registered]:
    """Yield the functions under ``@app.train()`` or ``@app.evaluate()``."""
    for source in sources:
        for node in source.live:
            if isinstance(node, Function):
                for call in node.decorator_list:
                    if isinstance(call, ast.Call) and _registers(names, source, call, kind):
                        yield Registered(source, node.lineno, node, _action(call))
            elif isinstance(node, ast.Call) and _registers_another(names, source, node, kind):
                found = names.thing(source, node.args[0])
                function = found.node if isinstance(found.node, Function) else None
                yield Registered(found.source or source, node.lineno, function, _action(node.func))


def _registers(names: Names, source: Source, call: ast.Call, kind: str) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr != kind:
        return False
    found = names.things(source, function.value)
    unseen = not found or any(t.node is None or isinstance(t.node, ast.arg) for t in found)
    return unseen or any(makes_app(names, t, "ClientApp", "PeerApp") for t in found)


def _registers_another(names: Names, source: Source, call: ast.Call, kind: str) -> bool:
    """Return whether a call is ``app.train()(function)``."""
    inner = call.func
    registers = isinstance(inner, ast.Call) and _registers(names, source, inner, kind)
    return registers and bool(call.args)


def _action(call: ast.expr) -> str:
    if not isinstance(call, ast.Call):
        return ""
    given = [*call.args, *(k.value for k in call.keywords if k.arg == "action")]
    value = getattr(given[0], "value", "?") if given else ""
    return "" if value == "default" else str(value)


def trained_arrays(names: Names, source: Source, function: Function) -> Iterator[int]:
    """Yield the number of array records in each RecordDict of a function that is written out."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _flwr(
            names, source, node.func, "RecordDict", "RecordSet"
        ):
            given = [*node.args, *(k.value for k in node.keywords)]
            written = given[0] if len(given) == 1 else None
            if isinstance(written, ast.Dict) and not _is_added_to(source, function, node):
                kinds = [_kind(names, source, value) for value in written.values]
                if all(kinds):
                    yield kinds.count("ArrayRecord")


def _is_added_to(source: Source, function: Function, made: ast.Call) -> bool:
    """Return whether a function puts more records into a RecordDict that it made."""
    parent = source.parents[made]
    targets = parent.targets if isinstance(parent, ast.Assign) else []
    named = {target.id for target in targets if isinstance(target, ast.Name)}
    return any(
        isinstance(node, ast.Subscript)
        and isinstance(node.ctx, ast.Store)
        and getattr(node.value, "id", "") in named
        for node in ast.walk(function)
    )


def _kind(names: Names, source: Source, node: ast.expr) -> str:
    """Return which kind of record an expression is; empty if that cannot be seen."""
    kinds = set()
    for found in names.things(source, node):
        call = found.node
        if not isinstance(call, ast.Call) or found.source is None:
            return ""
        last = names.thing(found.source, call.func).last
        kinds.add(_FORMER.get(last, last))
    return kinds.pop() if len(kinds) == 1 and kinds <= set(_RECORDS) else ""


def _flwr(names: Names, source: Source, node: ast.expr, *wanted: str) -> bool:
    return names.thing(source, node).is_flwr(*wanted)
