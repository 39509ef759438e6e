"""The app on the server: which of its strategies P2PL takes the place of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from .findings import Remark
from .flwr_names import LEGACY_STRATEGIES, LOSES, STRATEGIES, is_strategy, is_wrapper, why_refused
from .python.names import Names, Thing
from .python.rewrites import Rewrites
from .python.source import Source
from .strategy.lineage import Lineage, is_ours, lineage
from .strategy.over_network import central_evaluation
from .strategy.overrides import attributes_outside, conditions, losses, problems
from .strategy.references import Reference, Use, references
from .strategy.run_config import RunConfig
from .strategy.sites import Sites

_NO_STRATEGY = (
    "no strategy of flwr.serverapp.strategy is made here{}: P2PL takes the place of one, and "
    "drives the rounds itself"
)
_NOT_SEEN_MADE = (
    "{} is a strategy, and cannot be seen where one is made of it: make it there by its name, "
    "and ask again"
)
_ASKED_FOR = (
    "{} decides when it runs which strategy is made: write the strategy there by its name, and "
    "ask again"
)
_OWN_MESSAGES = ", and the ServerApp sends messages of its own (line {})"
_STAYS = "{} stays as it is, and goes on aggregating on the server: {}"
_AROUND = (
    "{} stays as it is, a strategy of its own: around P2PL it goes on working where it passes "
    "calls on, and beside it it aggregates on the server"
)
_HANDED_ON = (
    "{} is handed on to a function, and what is made of it there cannot be followed: write P2PL "
    "there by hand, without the arguments that only Flower's strategies take"
)
_NEVER_MADE = (
    "cannot see where {} is made of what stands here: write P2PL there by hand, without the "
    "arguments that only Flower's strategies take"
)
_NOT_STARTED = (
    "{} is made, but neither its start nor its configure_train is called: P2PL takes the place of "
    "a strategy that is started"
)
_LOOPS = ("LegacyContext", "DefaultWorkflow", "start_grid", "start_driver", "SecAggWorkflow")
_LOOP = (
    "{} runs a strategy of flwr.server.strategy by rounds of its own, and aggregates on the "
    "server: return that strategy from a server_fn, and ask again"
)
_WORKFLOW = "{} is a way to aggregate on a server: P2PL has its own rounds; leave it out"


@dataclass
class Server:
    """What was found in the app on the server.

    Attributes
    ----------
    refused, lost, notes : list[Remark]
        What P2PL refuses, what is lost, and what is worth knowing.
    """

    refused: list[Remark] = field(default_factory=list)
    lost: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)


@dataclass
class Judged:
    """A strategy class that an app uses.

    Attributes
    ----------
    thing : Thing
        The class.
    lineage : Lineage, optional
        What it derives from, if it is one of the project's.
    refused : list[Remark]
        Why it cannot be P2PL.
    """

    thing: Thing
    lineage: Lineage | None
    refused: list[Remark]

    @property
    def is_ours(self) -> bool:
        """Whether it is P2PL, or derives from it."""
        return is_ours(self.thing, "P2PL") or (self.lineage is not None and self.lineage.is_ours)


def server_of(names: Names, sources: list[Source], config: RunConfig, rewrites: Rewrites) -> Server:
    """Return what there is to say about a ServerApp that starts a strategy, and note changes."""
    found = Server()
    known = list(references(names, sources))
    judged = {t: _judge(names, t, known) for t in used(known)}
    loops = list(loops_of(names, sources))
    wrapped = [r for j in judged.values() if is_wrapper(j.thing.name) for r in j.refused]
    good = {t: j for t, j in judged.items() if not j.refused}
    bad = [j for j in judged.values() if j.refused]
    tied = [r for j in bad if _shares(names, j, good) for r in j.refused]
    if not good and not loops and not bad:
        found.refused += _no_strategy(names, sources, known)
    found.refused += [*loops, *wrapped, *tied, *_idle(sources, known, good)]
    found.refused += central_evaluation(names, sources)
    if good and not found.refused:
        sites = Sites(names, sources, known, good, config, rewrites)
        found.refused += [*_unseen(known, good, sites), *sites.problems]
        found.refused += attributes_outside(names, sources)
        found.lost, found.notes = sites.lost, sites.notes
        found.notes += [_stays(j) for j in bad]
    else:
        found.refused += [remark for j in bad for remark in j.refused]
    for each in good.values():
        found.lost += _lost(names, each, known)
        if each.lineage is not None and not each.is_ours:
            found.notes += conditions(each.lineage)
    return found


def used(known: list[Reference]) -> list[Thing]:
    """Return the classes of which something is made, or may be."""
    made = (Use.MADE, Use.PARTIAL, Use.VALUE, Use.HANDED_ON)
    return list(dict.fromkeys(r.thing for r in known if r.use in made))


def loops_of(names: Names, sources: list[Source]) -> Iterator[Remark]:
    """Yield what runs a legacy strategy without a ``server_fn``."""
    for source in sources:
        for call in source.calls():
            found = names.thing(source, call.func)
            above = lineage(names, found)
            for root in [found, *(above.roots if above is not None else ())]:
                if root.is_flwr(*_LOOPS):
                    yield Remark(source.path, call.lineno, _LOOP.format(root.last))
                elif root.source is None and root.name.startswith("flwr.server.workflow"):
                    yield Remark(source.path, call.lineno, _WORKFLOW.format(root.last))
                elif is_strategy(root.name, LEGACY_STRATEGIES) and is_wrapper(root.name):
                    text = f"{root.last}: {why_refused(root.name)}"
                    yield Remark(source.path, call.lineno, text)


def _judge(names: Names, thing: Thing, known: list[Reference]) -> Judged:
    found = lineage(names, thing)
    where = next(r for r in known if r.thing == thing)
    at = (where.source.path, where.node.lineno)
    if found is None:
        why = why_refused(thing.name)
        return Judged(thing, None, [Remark(*at, f"{thing.last}: {why}")] if why else [])
    source, node = found.classes[0]
    refused = [
        Remark(source.path, node.lineno, f"{node.name} derives from {root.last}: {why}")
        for root in found.roots
        if not found.is_ours and (why := why_refused(root.name))
    ]
    return Judged(thing, found, refused or sorted(set(problems(names, found))))


def _shares(names: Names, bad: Judged, good: dict[Thing, Judged]) -> bool:
    """Return whether a class that cannot be P2PL derives from one that would become P2PL."""
    if bad.lineage is None:
        return False
    converted = {n for j in good.values() if j.lineage for _, n in j.lineage.classes}
    for source, node in bad.lineage.classes:
        above = lineage(names, Thing(f"{source.module}.{node.name}", source, node))
        if node in converted and above is not None and above.root() is not None:
            return True
    return False


def _idle(
    sources: list[Source], known: list[Reference], good: dict[Thing, Judged]
) -> Iterator[Remark]:
    """Yield the first strategy, if none is started anywhere."""
    named = {n.attr for s in sources for n in s.live if isinstance(n, ast.Attribute)}
    made = [r for r in known if r.thing in good and r.use is Use.MADE]
    if made and not named & {"start", "configure_train"}:
        first = made[0]
        text = _NOT_STARTED.format(first.thing.last)
        yield Remark(first.source.path, first.node.lineno, text)


def _no_strategy(names: Names, sources: list[Source], known: list[Reference]) -> Iterator[Remark]:
    """Yield why no strategy is known, where none is seen to be made."""
    hidden = {r.source.parents[r.node]: r for r in known if r.use is Use.BASE}
    for node, each in hidden.items():
        text = _NOT_SEEN_MADE.format(getattr(node, "name", each.thing.last))
        yield Remark(each.source.path, getattr(node, "lineno", 1), text)
    asked = list(_asked_for(names, sources))
    yield from asked
    if not hidden and not asked:
        yield _none_made(names.project.server.source, sources)


def _asked_for(names: Names, sources: list[Source]) -> Iterator[Remark]:
    """Yield where a strategy of Flower's is looked up by a name that only a run knows."""
    for source in sources:
        for call in source.calls():
            if getattr(call.func, "id", "") == "getattr" and call.args:
                asked = names.thing(source, call.args[0])
                if f"{asked.name}.".startswith(f"{STRATEGIES}."):
                    text = _ASKED_FOR.format(source.code(call))
                    yield Remark(source.path, call.lineno, text)


def _none_made(source: Source, sources: list[Source]) -> Remark:
    sends = [
        (s, call.lineno)
        for s in sources
        for call in s.calls()
        if getattr(call.func, "attr", "") in ("send_and_receive", "push_messages")
    ]
    where, line = sends[0] if sends else (source, 1)
    return Remark(
        where.path, line, _NO_STRATEGY.format(_OWN_MESSAGES.format(line) if sends else "")
    )


def _stays(judged: Judged) -> Remark:
    first = judged.refused[0]
    roots = judged.lineage.roots if judged.lineage is not None else ()
    if any(root.is_flwr("Strategy") for root in roots):
        return Remark(first.path, first.line, _AROUND.format(judged.thing.last))
    text = first.text.removeprefix(f"{judged.thing.last}: ")
    return Remark(first.path, first.line, _STAYS.format(judged.thing.last, text))


def _unseen(known: list[Reference], good: dict[Thing, Judged], sites: Sites) -> Iterator[Remark]:
    """Yield the strategies of which it cannot be seen where they are made."""
    for each in known:
        if each.thing not in good or good[each.thing].is_ours or not each.direct:
            continue
        at = (each.source.path, each.node.lineno)
        if each.use is Use.HANDED_ON:
            yield Remark(*at, _HANDED_ON.format(each.thing.last))
        elif each.use is Use.VALUE and not sites.is_made(each.thing):
            yield Remark(*at, _NEVER_MADE.format(each.thing.last))


def _lost(names: Names, judged: Judged, known: list[Reference]) -> Iterator[Remark]:
    if judged.lineage is None:
        if judged.thing.last in LOSES:
            where = next(r for r in known if r.thing == judged.thing and r.use is not Use.ASKED)
            text = f"{judged.thing.last}: {LOSES[judged.thing.last]}"
            yield Remark(where.source.path, where.node.lineno, text)
        return
    if judged.is_ours:
        return
    for root in judged.lineage.roots:
        if root.last in LOSES:
            source, node = judged.lineage.deriving(names, root)
            yield Remark(source.path, node.lineno, f"{root.last}: {LOSES[root.last]}")
    yield from losses(names, judged.lineage)
