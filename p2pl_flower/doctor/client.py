"""The app on the devices: what makes it a PeerApp, and what P2PL refuses in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..flower.unsupported import REFUSED_MODS, TREES
from .app_objects import app_of
from .findings import Remark
from .packed import packs_bytes
from .python.modules import reach
from .python.names import Names
from .python.rewrites import Rewrites
from .python.source import Source
from .registered import registered, trained_arrays
from .strategy.lineage import lineage

_RECORDS = (
    "the train function returns {} array records: P2PL needs exactly one, the model after training"
)
_UNSEEN = "cannot see a ClientApp or PeerApp that is made as {!r}: it must be a PeerApp"
_NO_TRAIN = (
    "there is no @app.train() function, and no client_fn: P2PL trains models, and devices would "
    "have nothing to train"
)
_ACTION = (
    "@app.train({!r}) answers messages of its own kind: P2PL's go to @app.train(), and there is "
    "none"
)
_NOT_SCORED = "there is no @app.evaluate(): models will not be scored on the devices"
_CLIENT_NOT_SCORED = "{} has no evaluate: models will not be scored on the devices"
_LOCAL_DP = (
    "LocalDpMod: its clipping and noise are on what neighbors receive, and on the device's own "
    "model"
)
_EVALUATED = (
    "the evaluate function returns its model: it stays on the device, and the server gets metrics"
)


@dataclass
class Client:
    """What was found in the app on the devices.

    Attributes
    ----------
    sources : list[Source]
        The files that it reaches.
    refused, notes : list[Remark]
        What P2PL refuses, and what is worth knowing.
    scored : bool
        Whether devices have something that evaluates.
    """

    sources: list[Source]
    refused: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)
    scored: bool = True


def client_of(names: Names, rewrites: Rewrites) -> Client:
    """Return what there is to say about a project's ClientApp, and note what changes."""
    component = names.project.client
    sources = reach(names.project, component.source)
    found = Client(sources)
    app = app_of(names, component, sources, "ClientApp", "PeerApp")
    if app is None:
        path = component.source.path
        found.refused.append(Remark(path, 1, _UNSEEN.format(component.name)))
        return found
    for source, node in app.names:
        rewrites.rename(source, node, "PeerApp")
    found.refused += [*_mods(names, sources), *_packed(names, sources)]
    if app.argument("client_fn", 0) is not None:
        _legacy(names, found)
    else:
        _messages(names, found, component.source)
    return found


def _mods(names: Names, sources: list[Source]) -> Iterator[Remark]:
    """Yield the mods that are used, and need a server that aggregates."""
    for source in sources:
        for node in source.live:
            if isinstance(node, ast.Name | ast.Attribute):
                found = names.thing(source, node)
                if found.is_flwr(*REFUSED_MODS):
                    text = f"{found.last}: {REFUSED_MODS[found.last]}"
                    yield Remark(source.path, node.lineno, text)


def _packed(names: Names, sources: list[Source]) -> Iterator[Remark]:
    for source in sources:
        for node in packs_bytes(names, source):
            yield Remark(source.path, node.lineno, TREES)


def _messages(names: Names, found: Client, source: Source) -> None:
    """Judge the functions that a ClientApp of the message API registers."""
    trains = list(registered(names, found.sources, "train"))
    evaluates = list(registered(names, found.sources, "evaluate"))
    found.scored = any(not each.action for each in evaluates)
    if not any(not each.action for each in trains):
        where = trains[0] if trains else None
        text = _ACTION.format(where.action) if where else _NO_TRAIN
        at = (where.source.path, where.line) if where else (source.path, 1)
        found.refused.append(Remark(*at, text))
    elif not found.scored:
        found.notes.append(Remark(source.path, 1, _NOT_SCORED))
    for each in trains:
        if not each.action and each.function is not None:
            counts = set(trained_arrays(names, each.source, each.function))
            if counts and 1 not in counts:  # some replies may be to messages of other kinds
                text = _RECORDS.format(min(counts))
                found.refused.append(Remark(each.source.path, each.line, text))
    for each in evaluates:
        if each.function is not None and any(trained_arrays(names, each.source, each.function)):
            found.notes.append(Remark(each.source.path, each.line, _EVALUATED))
    found.notes += _local_dp(names, found.sources)


def _local_dp(names: Names, sources: list[Source]) -> Iterator[Remark]:
    for source in sources:
        for call in source.calls():
            if names.thing(source, call.func).is_flwr("LocalDpMod"):
                yield Remark(source.path, call.lineno, _LOCAL_DP)


def _legacy(names: Names, found: Client) -> None:
    """Judge the clients that a ``client_fn`` makes."""
    clients = []
    for source in found.sources:
        for node in source.classes():
            known = lineage(names, names.member(source, node.name)[-1])
            if known is not None and any(t.is_flwr("NumPyClient", "Client") for t in known.roots):
                clients.append((source, node, any(True for _ in known.methods("evaluate"))))
    found.scored = not clients or any(evaluates for _, _, evaluates in clients)
    if not found.scored:
        source, node, _ = clients[0]
        text = _CLIENT_NOT_SCORED.format(node.name)
        found.notes.append(Remark(source.path, node.lineno, text))
    found.notes += _local_dp(names, found.sources)
