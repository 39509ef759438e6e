"""P2PL over machines' relays: there are no models on the server to evaluate."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...flower.unsupported import NO_CENTRAL
from ..findings import Remark
from ..python.names import Names
from ..python.source import Source
from .lineage import is_ours, is_strategy_class, lineage

_TEXT = "evaluate_fn over GrpcRelay: {}"
_PLACE = 6
"""Of ``evaluate_fn`` among the arguments of ``start``."""


def central_evaluation(names: Names, sources: list[Source]) -> Iterator[Remark]:
    """Yield where an ``evaluate_fn`` is given to a P2PL whose models are on other machines.

    Nothing is said where another strategy may be the one that is started.
    """
    made = [list(_strategies(names, source)) for source in sources]
    remote = [is_remote for each in made for is_remote in each]
    if not remote or not all(remote):
        return
    for source in sources:
        for call in source.calls():
            given = [k.value for k in call.keywords if k.arg == "evaluate_fn"]
            if getattr(call.func, "attr", "") == "start":
                given += call.args[_PLACE : _PLACE + 1]
            if any(getattr(value, "value", value) is not None for value in given):
                yield Remark(source.path, call.lineno, _TEXT.format(NO_CENTRAL))


def _strategies(names: Names, source: Source) -> Iterator[bool]:
    """Yield, for each strategy that is made, whether it is P2PL over machines' relays."""
    for call in source.calls():
        for thing in names.things(source, call.func):
            found = lineage(names, thing)
            ours = is_ours(thing, "P2PL", "PeerServerApp") or (found is not None and found.is_ours)
            if ours:
                relay = [k.value for k in call.keywords if k.arg == "relay"]
                yield bool(relay) and _is_remote(names, source, relay[0])
            elif is_strategy_class(names, thing):
                yield False


def _is_remote(names: Names, source: Source, node: ast.expr) -> bool:
    """Return whether an expression is a GrpcRelay, or its name."""
    for thing in names.things(source, node):
        value = thing.node
        if isinstance(value, ast.Constant) and str(value.value).partition(":")[0] == "grpc":
            return True
        if thing.source is not None and isinstance(value, ast.Call):
            made = names.things(thing.source, value.func)
            return any(is_ours(each, "GrpcRelay") for each in made)
    return False
