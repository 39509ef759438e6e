"""Models that are packed into bytes: trees, pickles and the like, which cannot be averaged."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .python.names import Names
from .python.source import Function, Source

_RECORDS = ("ArrayRecord", "ParametersRecord", "Array", "Parameters", "ndarrays_to_parameters")


def packs_bytes(names: Names, source: Source) -> Iterator[ast.Call]:
    """Yield where bytes are made into an array that goes into what a device sends.

    That is ``numpy.frombuffer(..., dtype=uint8)``, in a record of arrays or in a variable that
    the same function puts there; bytes that are read as data go elsewhere.
    """
    for call in source.calls():
        if _reads_bytes(names, source, call) and _is_sent(names, source, call):
            yield call


def _reads_bytes(names: Names, source: Source, call: ast.Call) -> bool:
    if names.thing(source, call.func).name != "numpy.frombuffer":
        return False
    given = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == "dtype")]
    kinds = {ast.unparse(node).rpartition(".")[2].strip("'\"") for node in given}
    return bool(kinds & {"uint8", "int8", "byte", "ubyte"})


def _is_sent(names: Names, source: Source, call: ast.Call) -> bool:
    function = source.function(call)
    if any(_is_record(names, source, node) for node in source.above(call)):
        return True
    named = _variable(source, call)
    if function is None or not named:
        return False
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id == named and isinstance(node.ctx, ast.Load):
            around = list(source.above(node))
            within = around[: around.index(function)]
            if any(_is_record(names, source, n) for n in within) or _is_fit(function, within):
                return True
    return False


def _is_record(names: Names, source: Source, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and names.thing(source, node.func).is_flwr(*_RECORDS)


def _is_fit(function: Function, around: list[ast.AST]) -> bool:
    """Return whether a client's ``fit`` or ``get_parameters`` returns something."""
    returned = any(isinstance(node, ast.Return) for node in around)
    return function.name in ("fit", "get_parameters") and returned


def _variable(source: Source, call: ast.Call) -> str:
    parent = source.parents[call]
    if isinstance(parent, ast.List | ast.Tuple):
        parent = source.parents[parent]
    targets = parent.targets if isinstance(parent, ast.Assign) else []
    return targets[0].id if targets and isinstance(targets[0], ast.Name) else ""
