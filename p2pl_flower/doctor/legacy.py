"""The app on the server of a project with a ``server_fn``: what PeerServerApp makes of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..flower.unsupported import LEGACY_ARGUMENTS, LEGACY_UNCALLED
from .app_objects import App
from .findings import Remark
from .flwr_names import LEGACY_STRATEGIES, LOSES, is_strategy, is_wrapper, why_refused
from .python.edits import Edit
from .python.modules import reach
from .python.names import Names, Thing
from .python.rewrites import Rewrites
from .python.source import Function, Source
from .server import Server
from .strategy.lineage import Lineage, is_ours, lineage
from .strategy.over_network import central_evaluation
from .strategy.overrides import calls_above, owner

_OLD = (
    "ServerApp(strategy=..., config=...) is deprecated in Flower: write a server_fn that returns "
    "them, and ask again"
)
_LEFT_OUT = "{}: PeerServerApp does not ask for it; all devices that are there train"
_UNCALLED = {
    "configure_fit": "what it sends to clients",
    "aggregate_fit": "what it does besides averaging, such as to save or to log,",
    "configure_evaluate": "what it sends to clients",
    "aggregate_evaluate": "what it does besides averaging metrics",
}
_NOT_CALLED = "{} of {} is not called: {} is not done; an evaluate_fn is given the mean model"
_AGGREGATES = (
    "aggregate_fit of {} aggregates models in a way of its own, without super(): no server sees "
    "them here, so that nothing can"
)
_CONFIGURES = (
    "configure_fit of {} puts something into what clients are sent, and it is not called: give "
    "it by on_fit_config_fn instead"
)
_PROXIMAL = (
    "FedProx puts 'proximal_mu' into the config of every round, and PeerServerApp does not: put "
    "it there by on_fit_config_fn"
)
_SERVER = "{} of {} is not called: P2PL has its own rounds, and what it does besides is not done"
_SERVER_ROUNDS = (
    "{} of {} runs rounds of its own, without super(): P2PL has its own rounds, and cannot run it"
)
_STAYS = "with {}, training would not be what it is now: {}"
_TAKES_PLACE = (
    "a server_fn returns P2PL itself: PeerServerApp takes its place, with P2PL's options; return "
    "a strategy of flwr.server.strategy there"
)


def legacy_of(names: Names, sources: list[Source], app: App, rewrites: Rewrites) -> Server:
    """Return what there is to say about a ServerApp with a ``server_fn``, and note what changes."""
    found = Server()
    _convert(app, rewrites)
    verdicts = [_strategy(names, *made) for made in _made(names, sources)]
    refused = [v for v in verdicts if v.refused]
    stops = len(refused) == len(verdicts)
    for each in verdicts:
        found.notes += each.notes
        found.lost += each.lost
        if stops or each.is_final:
            found.refused += each.refused
        elif each.refused:
            first = each.refused[0]
            found.lost.append(Remark(first.path, first.line, _STAYS.format(each.name, first.text)))
    found.refused += central_evaluation(names, sources)
    found.refused += _servers(names, sources, refused=True)
    found.lost += _servers(names, sources, refused=False)
    return found


def _convert(app: App, rewrites: Rewrites) -> None:
    for source, node in app.names:
        rewrites.rename(source, node, "PeerServerApp")
    for keyword in app.call.keywords if app.names else ():
        if keyword.arg == "server_fn":  # a topology can then be added as the next argument
            start, end = app.source.span(keyword)[0], app.source.span(keyword.value)[0]
            rewrites.edit(app.source, Edit(start, end, ""))


def old_server(source: Source, app: App) -> Server:
    """Return what there is to say where strategy and config are given to the ServerApp itself."""
    return Server(refused=[Remark(source.path, app.call.lineno, _OLD)])


class _Verdict:
    """What is said about one strategy that is made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.refused: list[Remark] = []
        self.lost: list[Remark] = []
        self.notes: list[Remark] = []
        self.is_final = False  # whether it is refused whatever other strategies there are


def _made(names: Names, sources: list[Source]) -> Iterator[tuple[Source, ast.expr, Thing]]:
    """Yield the strategies of which something is made, once each."""
    done = set()
    for source in sources:
        for node in source.live:
            is_base = isinstance(source.parents.get(node), ast.ClassDef)
            if isinstance(node, ast.Name | ast.Attribute) and not is_base:
                for thing in names.things(source, node):
                    if (
                        _is_strategy(names, thing)
                        and thing not in done
                        and not _noted(source, node)
                    ):
                        done.add(thing)
                        yield source, node, thing


def _noted(source: Source, node: ast.AST) -> bool:
    """Return whether a class is named in an annotation only."""
    around = list(source.above(node))[:4]
    child = node
    for parent in around:
        if child in (getattr(parent, "annotation", None), getattr(parent, "returns", None)):
            return True
        child = parent
    return False


def _is_strategy(names: Names, thing: Thing) -> bool:
    if thing.source is None:
        return is_strategy(thing.name, LEGACY_STRATEGIES) or is_ours(thing, "P2PL")
    found = lineage(names, thing)
    return found is not None and found.root(LEGACY_STRATEGIES) is not None


def _strategy(names: Names, source: Source, node: ast.expr, thing: Thing) -> _Verdict:
    verdict = _Verdict(thing.last)
    found = lineage(names, thing)
    roots = [thing] if found is None else list(found.roots)
    at = (source.path, node.lineno)
    for root in roots:
        if is_ours(root, "P2PL"):
            verdict.refused.append(Remark(*at, _TAKES_PLACE))
            verdict.is_final = True
        elif why := why_refused(root.name):
            verdict.refused.append(Remark(*at, f"{root.last}: {why}"))
            verdict.is_final = verdict.is_final or is_wrapper(root.name)
        elif root.last in LOSES:
            verdict.lost.append(Remark(*at, f"{root.last}: {LOSES[root.last]}"))
        elif root.last == "FedProx":
            (verdict.refused if _reads_mu(names) else verdict.lost).append(Remark(*at, _PROXIMAL))
    if found is not None:
        _methods(found, verdict)
    _arguments(source, node, verdict)
    return verdict


def _methods(found: Lineage, verdict: _Verdict) -> None:
    """Judge the methods of a class of the user's: PeerServerApp calls none of them."""
    for source, function in found.all_methods():
        name, at = function.name, (source.path, function.lineno)
        kind = owner(source, function)
        if name not in LEGACY_UNCALLED:
            continue
        above = calls_above(function, name)
        if name == "aggregate_fit" and not above:
            verdict.refused.append(Remark(*at, _AGGREGATES.format(kind)))
        elif name == "configure_fit" and _configures(function):
            verdict.refused.append(Remark(*at, _CONFIGURES.format(kind)))
        else:
            text = _NOT_CALLED.format(name, kind, _UNCALLED[name])
            verdict.lost.append(Remark(*at, text))


def _configures(function: Function) -> bool:
    """Return whether a ``configure_fit`` writes into a config, or makes one."""
    return any(_writes(node) for node in ast.walk(function))


def _writes(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Store) and "config" in ast.unparse(node.value)
    if not isinstance(node, ast.Call):
        return False
    if getattr(node.func, "attr", "") == "update":
        return "config" in ast.unparse(node.func)
    return getattr(node.func, "id", "") == "FitIns"


def _arguments(source: Source, node: ast.expr, verdict: _Verdict) -> None:
    """Note the arguments that PeerServerApp does not ask the strategy for."""
    call = source.parents[node]
    if isinstance(call, ast.Call) and call.func is node and not is_wrapper(verdict.name):
        known = {*LEGACY_ARGUMENTS, "fraction_evaluate"}
        left = [k.arg for k in call.keywords if k.arg in _OF_FEDAVG - known]
        if left:
            text = _LEFT_OUT.format(", ".join(map(str, left)))
            verdict.notes.append(Remark(source.path, call.lineno, text))


_OF_FEDAVG = frozenset(
    {
        "fraction_fit",
        "min_fit_clients",
        "min_evaluate_clients",
        "min_available_clients",
        "accept_failures",
    }
)


def _reads_mu(names: Names) -> bool:
    """Return whether clients ask their config for ``proximal_mu``, and must find it."""
    project = names.project
    return any(
        isinstance(node, ast.Subscript) and getattr(node.slice, "value", None) == "proximal_mu"
        for source in reach(project, project.client.source)
        for node in source.live
    )


def _servers(names: Names, sources: list[Source], *, refused: bool) -> Iterator[Remark]:
    """Yield the methods of server classes of the user's, which are not called."""
    for source in sources:
        for node in source.classes():
            things = names.member(source, node.name)
            found = lineage(names, things[-1]) if things else None
            if found is None or not any(t.is_flwr("Server") for t in found.roots):
                continue
            for where, function in found.all_methods():
                if function.name in ("fit", "fit_round", "evaluate_round"):
                    own = not calls_above(function, function.name)
                    text = (_SERVER_ROUNDS if own else _SERVER).format(
                        function.name, owner(where, function)
                    )
                    if own is refused:
                        yield Remark(where.path, function.lineno, text)
