"""What P2PL refuses when it runs, as far as it can be seen in a project's text."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..flower.unsupported import LEGACY_ARGUMENTS, LEGACY_UNCALLED, REFUSED_MODS, TREES, WRAPPER
from .changes import (
    CLIENT_APPS,
    KEPT,
    LEGACY_STRATEGIES,
    STRATEGIES,
    is_app,
    is_strategy,
    is_wrapper,
)
from .findings import Remark
from .project import Project
from .source import Source

_WORKFLOW = "{} is a way to aggregate on a server: P2PL has its own rounds; leave it out"
_RECORDS = (
    "the train function returns {} array records: P2PL needs exactly one, the model after training"
)
_AGGREGATES = (
    "aggregate_train of a class of yours is given metrics but no arrays: no model comes by"
)
_MEANING = {
    "FedProx": "set 'proximal-mu' in train_config yourself ('proximal_mu' by on_fit_config_fn in a "
    "project with a server_fn); the proximal term then pulls a device towards the model it begins "
    "the round with",
    "LocalDpMod": "its clipping and noise are on what neighbors receive, and on the device's own "
    "model; it cannot work with affinity, which sends a second array record",
}
_UNCALLED = "{} of a class of yours is not called: P2PL has its own rounds"
_LEFT_OUT = "{}: P2PL has no such argument; all devices that are there train and are scored"
_PEER_APP, _P2PL = "p2pl_flower.PeerApp", ("p2pl_flower.P2PL", "p2pl_flower.PeerServerApp")
_UNSEEN_CLIENT = "cannot see that {!r} is a ClientApp or PeerApp: it must be a PeerApp"
_UNSEEN_STRATEGY = "cannot see a strategy of flwr.serverapp.strategy: P2PL takes its place"


def refusals_of(project: Project) -> list[Remark]:
    """Return what would be refused, in the order of files and lines."""
    found = [remark for source in project.sources for remark in _in_source(source)]
    found += _train_function(project)
    return sorted(set(found), key=lambda r: (str(r.path), r.line, r.text))


def notes_of(project: Project) -> list[Remark]:
    """Return what works, but means something else than before, or is better changed."""
    found = [note for source in project.sources for note in _notes(source)]
    found += _unseen(project)
    client = project.client.source
    evaluates = any(_is_registered(d, "evaluate") for _, d in _decorators(client))
    if not evaluates and not _is_legacy(project):
        text = "there is no @app.evaluate(): models will not be scored on the devices"
        found.append(Remark(client.path, 1, text))
    return sorted(set(found), key=lambda r: (str(r.path), r.line, r.text))


def _in_source(source: Source) -> Iterator[Remark]:
    for name, (stands_for, statement) in source.imports.items():
        if text := _refused_import(name, stands_for):
            yield Remark(source.path, statement.lineno, text)
    for node in source.classes():
        if any(_is_strategy_or_p2pl(source, base) for base in node.bases):
            for function in node.body:
                if isinstance(function, ast.FunctionDef) and function.name == "aggregate_train":
                    yield Remark(source.path, function.lineno, _AGGREGATES)


def _refused_import(name: str, stands_for: str) -> str:
    """Return why what a name stands for is refused; the empty text if it is not."""
    last = stands_for.rpartition(".")[2]
    if stands_for.partition(".")[0] == "xgboost" or last.startswith("FedXgb"):
        return TREES
    if not stands_for.startswith("flwr"):
        return ""
    if last in REFUSED_MODS:
        return f"{last}: {REFUSED_MODS[last]}"
    if is_wrapper(last):
        return f"{name}: {WRAPPER}"
    return _WORKFLOW.format(name) if last.endswith("Workflow") else ""


def _is_strategy_or_p2pl(source: Source, base: ast.expr) -> bool:
    return is_strategy(source, base) or source.stands_for(base) in _P2PL


def _notes(source: Source) -> Iterator[Remark]:
    for stands_for, statement in source.imports.values():
        module, _, last = stands_for.rpartition(".")
        if last in _MEANING and module.startswith("flwr"):
            yield Remark(source.path, statement.lineno, f"{last}: {_MEANING[last]}")
        elif f"{module}.".startswith((STRATEGIES, LEGACY_STRATEGIES)) and _aggregates(last):
            text = f"{last}: how it aggregates has no counterpart; P2PL averages with neighbors"
            yield Remark(source.path, statement.lineno, text)
    for name, call in source.calls():
        if left := _left_out(name, call):
            yield Remark(source.path, call.lineno, _LEFT_OUT.format(", ".join(left)))
    for node in source.classes():
        if any(source.stands_for(base).startswith(LEGACY_STRATEGIES) for base in node.bases):
            for function in node.body:
                if isinstance(function, ast.FunctionDef) and function.name in LEGACY_UNCALLED:
                    text = _UNCALLED.format(function.name)
                    yield Remark(source.path, function.lineno, text)


def _aggregates(name: str) -> bool:
    return name.startswith("Fed") and name != "FedAvg" and not name.startswith("FedXgb")


def _left_out(name: str, call: ast.Call) -> list[str]:
    """Return the named arguments of a strategy of Flower's that P2PL has no use for."""
    taken = {STRATEGIES: KEPT, LEGACY_STRATEGIES: LEGACY_ARGUMENTS}
    kept = next((args for prefix, args in taken.items() if name.startswith(prefix)), None)
    if kept is None or is_wrapper(name):
        return []
    return [k.arg for k in call.keywords if k.arg and k.arg not in kept]


def _unseen(project: Project) -> Iterator[Remark]:
    """Yield what had to be found for changes to be named, and was not."""
    client, server = project.client, project.server.source
    if not is_app(client, (*CLIENT_APPS, _PEER_APP)):
        yield Remark(client.source.path, 1, _UNSEEN_CLIENT.format(client.name))
    known = ("flwr.server.ServerAppComponents", *_P2PL)
    imported = [name for source in project.sources for name, _ in source.imports.values()]
    if not any(name in known or name.startswith(STRATEGIES) for name in imported):
        yield Remark(server.path, 1, _UNSEEN_STRATEGY)


def _is_legacy(project: Project) -> bool:
    """Return whether the client app is made with a client_fn."""
    call = project.client.source.assigned(project.client.name)
    return isinstance(call, ast.Call) and bool(
        call.args or any(k.arg == "client_fn" for k in call.keywords)
    )


def _train_function(project: Project) -> list[Remark]:
    if _is_legacy(project):
        return []
    source = project.client.source
    trains = [f for f, d in _decorators(source) if _is_registered(d, "train")]
    if not trains:
        text = "there is no @app.train() function, and no client_fn: nothing would be trained"
        return [Remark(source.path, 1, text)]
    counts = [(f, n) for f in trains for n in _array_records(source, f)]
    return [Remark(source.path, f.lineno, _RECORDS.format(n)) for f, n in counts if n != 1]


def _decorators(source: Source) -> Iterator[tuple[ast.FunctionDef, ast.Call]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call):
                    yield node, decorator


def _is_registered(decorator: ast.Call, kind: str) -> bool:
    """Return whether a decorator is ``@app.train()``, without an action of the user's own."""
    function = decorator.func
    return isinstance(function, ast.Attribute) and function.attr == kind and not decorator.args


def _array_records(source: Source, function: ast.FunctionDef) -> Iterator[int]:
    """Yield the array records in each RecordDict of a function whose contents are plain."""
    kinds = {
        target.id: _record_kind(source, node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        if not isinstance(node, ast.Call) or _last(source, node.func) != "RecordDict":
            continue
        if len(node.args) == 1 and isinstance(node.args[0], ast.Dict):
            values = node.args[0].values
            found = [
                kinds.get(v.id, "") if isinstance(v, ast.Name) else _record_kind(source, v)
                for v in values
            ]
            if all(found):
                yield found.count("ArrayRecord")


def _record_kind(source: Source, node: ast.expr) -> str:
    last = _last(source, node.func) if isinstance(node, ast.Call) else ""
    return last if last in ("ArrayRecord", "MetricRecord", "ConfigRecord") else ""


def _last(source: Source, node: ast.expr) -> str:
    return source.stands_for(node).rpartition(".")[2]
