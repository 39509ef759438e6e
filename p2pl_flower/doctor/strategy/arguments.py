"""The arguments of a strategy: FedAvg's own go, those of P2PL and of the user stay."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from ..flwr_names import OWN_ARGUMENTS
from ..python.edits import Edit, without
from ..python.source import Source
from .run_config import RunConfig
from .signatures import Init, bound

_UNSEEN = (
    "cannot tell which arguments are in {!r}: write them out, without those that only Flower's "
    "strategies take (fraction_train and the like)"
)
_BY_NAME = "{!r} is put into {} by name, and P2PL takes no such argument: take it out"
_ASSIGNED = "{!r} gets its value in the argument {!r}, which goes: assign it in a line before"

Item = ast.expr | ast.keyword


@dataclass(frozen=True)
class Arguments:
    """What becomes of the arguments of one call.

    Attributes
    ----------
    edits : tuple[Edit, ...]
        The changes.
    left_out : tuple[str, ...]
        Names of Flower's arguments that go and say something that P2PL cannot do.
    tables : tuple[ast.expr, ...]
        Tables that are given as ``**table``, and may hold what has to go.
    problems : tuple[str, ...]
        Why it cannot be told what has to go.
    """

    edits: tuple[Edit, ...] = ()
    left_out: tuple[str, ...] = ()
    tables: tuple[ast.expr, ...] = ()
    problems: tuple[str, ...] = ()


def converted(
    source: Source, call: ast.Call, chain: list[Init], config: RunConfig, first: int = 0
) -> Arguments:
    """Return what becomes of a call's arguments; those before `first` are left alone."""
    items: list[Item] = [*call.args[first:], *call.keywords]
    items.sort(key=lambda item: (item.lineno, item.col_offset))
    known = {item: _name(item, call, chain, first) for item in items}
    new = {item: _new(source, item, name, config) for item, name in known.items()}
    gone = {i for i, item in enumerate(items) if _goes(item, known[item], config)}
    edits = [Edit(*source.span(item), text) for item, text in new.items() if text]
    if gone:
        spans = [source.span(item) for item in items]
        edits += without(source, spans, gone, *_inside(source, call, first))
    left = [
        known[items[i]]
        for i in sorted(gone)
        if known[items[i]] in OWN_ARGUMENTS
        and config.says_something(source, known[items[i]], _value(items[i]))
    ]
    several = [_value(i) for i in items if isinstance(i, ast.Starred) or _is_several(i)]
    unknown = [node for node in several if not _is_parameter(source, node)]
    tables = [item.value for item in call.keywords if item.arg is None and item.value in unknown]
    return Arguments(
        tuple(edits),
        tuple(left),
        tuple(tables),
        tuple(unseen(source, node) for node in unknown if node not in tables)
        + tuple(text for node in several if (text := _put(source, node)))
        + tuple(text for i in gone for text in _assigns(source, items[i])),
    )


def unseen(source: Source, node: ast.expr) -> str:
    """Return what to say where it cannot be told what is in ``*a`` or ``**a``."""
    return _UNSEEN.format(source.code(node))


def _is_several(item: Item) -> bool:
    return isinstance(item, ast.keyword) and item.arg is None


def _new(source: Source, item: Item, name: str, config: RunConfig) -> str:
    """Return what an argument becomes; empty if it stays, or goes."""
    if name == "fraction_evaluate" and (text := config.evaluate_every(source, _value(item))):
        return text
    stays = not name or name in OWN_ARGUMENTS or isinstance(item, ast.keyword)
    return "" if stays else f"{name}={source.code(item)}"


def _goes(item: Item, name: str, config: RunConfig) -> bool:
    """Return whether an argument goes: Flower's strategies alone take it, or it says nothing."""
    scoring = name == "fraction_evaluate"
    return name in OWN_ARGUMENTS or (scoring and config.says_nothing_of_scoring(_value(item)))


def _value(item: Item) -> ast.expr:
    return item.value if isinstance(item, ast.keyword | ast.Starred) else item


def _name(item: Item, call: ast.Call, chain: list[Init], first: int) -> str:
    if isinstance(item, ast.Starred):
        return ""
    if isinstance(item, ast.keyword):
        return bound(chain, None, item.arg) if item.arg else ""
    return bound(chain, call.args.index(item) - first, None)


def _inside(source: Source, call: ast.Call, first: int) -> tuple[int, int]:
    """Return where the arguments of a call begin and end, within its parentheses."""
    end = source.span(call)[1]
    if first:
        return source.span(call.args[first - 1])[1], end - 1
    return source.text.index("(", source.span(call.func)[1]) + 1, end - 1


def _is_parameter(source: Source, node: ast.expr) -> bool:
    """Return whether ``*a`` or ``**a`` hands on what the function itself was given so."""
    function = source.function(node)
    several = [function.args.vararg, function.args.kwarg] if function else []
    return isinstance(node, ast.Name) and node.id in {a.arg for a in several if a}


def _put(source: Source, options: ast.expr) -> str:
    """Return which of Flower's arguments a function puts into its ``**options`` itself."""
    function = source.function(options)
    if function is None or not isinstance(options, ast.Name) or not _is_parameter(source, options):
        return ""
    for node in ast.walk(function):
        name: ast.AST | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            name = node.slice if _is(node.value, options.id) else None
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            puts = node.func.attr == "setdefault" and _is(node.func.value, options.id)
            name = node.args[0] if puts and node.args else None
        if isinstance(name, ast.Constant) and name.value in OWN_ARGUMENTS:
            return _BY_NAME.format(name.value, options.id)
    return ""


def _assigns(source: Source, item: Item) -> Iterator[str]:
    """Yield which variables are lost with an argument that goes, and are read elsewhere."""
    inside = set(ast.walk(item))
    for node in inside:
        name = node.target.id if isinstance(node, ast.NamedExpr) else ""
        read = (n for n in ast.walk(source.tree) if isinstance(n, ast.Name) and n.id == name)
        if any(n not in inside for n in read):
            yield _ASSIGNED.format(name, source.code(item))


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
