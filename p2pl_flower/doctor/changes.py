"""The lines that make a project peer to peer."""

from __future__ import annotations

import ast

from ..errors import ConfigError
from ..flower.unsupported import WRAPPERS
from .findings import Change
from .project import Component, Project
from .source import Source

CLIENT_APPS = ("flwr.clientapp.ClientApp", "flwr.client.ClientApp")
SERVER_APPS = ("flwr.serverapp.ServerApp", "flwr.server.ServerApp")
STRATEGIES = "flwr.serverapp.strategy."
LEGACY_STRATEGIES = "flwr.server.strategy."

KEPT = frozenset(
    {
        "min_available_nodes",
        "weighted_by_key",
        "arrayrecord_key",
        "configrecord_key",
        "train_metrics_aggr_fn",
        "evaluate_metrics_aggr_fn",
    }
)
"""Arguments of FedAvg that P2PL takes too."""


def changes_of(project: Project) -> list[Change]:
    """Return what has to change, in the order of files and lines; nothing if all is done.

    Raises
    ------
    ConfigError
        An app is not made where pyproject.toml says.
    """
    found = [*_client(project.client), *_server(project)]
    return sorted(dict.fromkeys(found), key=lambda c: (str(c.path), c.line, bool(c.old)))


def is_app(component: Component, names: tuple[str, ...]) -> bool:
    """Return whether an app is made by a call of one of these dotted names."""
    value = component.source.assigned(component.name)
    return isinstance(value, ast.Call) and component.source.stands_for(value.func) in names


def is_strategy(source: Source, node: ast.expr) -> bool:
    """Return whether an expression names a strategy of Flower's message API, and no wrapper."""
    name = source.stands_for(node)
    return name.startswith(STRATEGIES) and not is_wrapper(name)


def is_wrapper(name: str) -> bool:
    """Return whether a dotted name is that of a strategy around another."""
    return name.rpartition(".")[2].startswith(WRAPPERS)


def _client(component: Component) -> list[Change]:
    source, call = component.source, _app(component, "clientapp")
    if not is_app(component, CLIENT_APPS):
        return []
    return [_import(source, call.func, "PeerApp"), _replace(source, call.func, "PeerApp")]


def _server(project: Project) -> list[Change]:
    source, call = project.server.source, _app(project.server, "serverapp")
    if is_app(project.server, SERVER_APPS) and (call.args or call.keywords):
        return _legacy_server(source, call)
    return [change for each in project.sources for change in _strategies(each)]


def _legacy_server(source: Source, call: ast.Call) -> list[Change]:
    functions = [k.value for k in call.keywords if k.arg == "server_fn"] or call.args[4:5]
    if not functions:
        where = f"{source.path}:{call.lineno}"
        rule = "ServerApp(strategy=..., config=...) is deprecated: write a server_fn first"
        raise ConfigError("serverapp", where, rule)
    new = f"PeerServerApp({ast.unparse(functions[0])})"
    return [_import(source, call.func, "PeerServerApp"), _replace(source, call, new)]


def _strategies(source: Source) -> list[Change]:
    """Return P2PL for every strategy that is made or inherited from in a file."""
    found = []
    derived = {c.name for c in source.classes() if any(is_strategy(source, b) for b in c.bases)}
    for node in source.classes():
        for base in node.bases:
            if is_strategy(source, base):
                found += [_import(source, base, "P2PL"), _replace(source, base, "P2PL")]
    for name, call in source.calls():
        if is_strategy(source, call.func):
            new = f"P2PL({_arguments(call)})"
            found += [_import(source, call.func, "P2PL"), _replace(source, call, new)]
        elif name in derived and not _takes(call):
            found.append(_replace(source, call, f"{name}({_arguments(call)})"))
    return found


def _app(component: Component, kind: str) -> ast.Call:
    value = component.source.assigned(component.name)
    if not isinstance(value, ast.Call):
        rule = f"{component.source.path} assigns no call to {component.name!r}"
        raise ConfigError(kind, component.name, rule)
    return value


def _takes(call: ast.Call) -> bool:
    return not call.args and all(k.arg in KEPT for k in call.keywords)


def _arguments(call: ast.Call) -> str:
    kept = [k for k in call.keywords if k.arg in KEPT]
    return ", ".join(f"{k.arg}={ast.unparse(k.value)}" for k in kept)


def _import(source: Source, node: ast.expr, new: str) -> Change:
    """Replace the import of a name that is not used for anything else, or add a line to it."""
    root = node
    while isinstance(root, ast.Attribute):
        root = root.value
    name = root.id if isinstance(root, ast.Name) else ""
    statement = source.imports[name][1]
    line, end = statement.lineno, statement.end_lineno or statement.lineno
    new = f"{_indent(source, statement)}from p2pl_flower import {new}"
    alone = isinstance(statement, ast.ImportFrom) and len(statement.names) == 1
    if alone and all(_goes(source, use) for use in source.uses(name)):
        return Change(source.path, line, tuple(source.lines[line - 1 : end]), new)
    return Change(source.path, end, (), new)


def _goes(source: Source, use: ast.Name) -> bool:
    """Return whether a use of a name is one that is replaced: a call or a base class."""
    called = any(call.func is use for _, call in source.calls())
    return called or any(use in node.bases for node in source.classes())


def _replace(source: Source, node: ast.expr, new: str) -> Change:
    """Put a text where an expression stands, on one line."""
    first, last = node.lineno, node.end_lineno or node.lineno
    old = source.lines[first - 1 : last]
    before = old[0].encode()[: node.col_offset].decode()
    after = old[-1].encode()[node.end_col_offset :].decode()
    return Change(source.path, first, tuple(old), f"{before}{new}{after}")


def _indent(source: Source, statement: ast.stmt) -> str:
    return source.lines[statement.lineno - 1][: statement.col_offset]
