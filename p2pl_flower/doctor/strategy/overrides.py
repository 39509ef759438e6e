"""Whether a strategy class of the user's works as one that derives from P2PL."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..findings import Remark
from ..flwr_names import OWN_ARGUMENTS, OWN_METHODS, is_strategy, why_refused
from ..python.names import Names, Thing
from ..python.source import Function, Source
from .averages import taken
from .lineage import Lineage
from .replies import reads

_WITHOUT_SUPER = (
    "configure_train of {} does not call super().configure_train: there P2PL tells each device to "
    "train on its own model; call it, and change the config that you hand on or the messages that "
    "it returns"
)
_SENDS = (
    "configure_evaluate of {} sends messages of its own, without super(): they would take a model "
    "through the server; call it, or return [] in rounds in which nothing is to be scored"
)
_START = (
    "start of {} neither calls super().start nor self.configure_train: nothing would tell the "
    "devices to train"
)
_READS = (
    "{} of {} takes models out of messages, and with P2PL none is in them: models go from device "
    "to device; an evaluate_fn is given the mean of all models after every round"
)
_SEES_NONE = (
    "{} of {} goes over the models in messages: there are none, so that it counts 0; what devices "
    "send each other is in strategy.rounds"
)
_AVERAGE = (
    "{} of {} works on the averaged model that super() returns: in a simulation that is the mean "
    "of all devices' trained models, and it goes on as before; where devices are on machines of "
    "their own it is None, and this line fails: ask there first whether there is one, and take the "
    'model of the end from the result of P2PL(result="mean")'
)
_ATTRIBUTE = "{0} of {1} reads self.{2}, which only Flower's strategies have: {3}"
_READ = "{} is read here, which only Flower's strategies have: leave it out"
_ASSIGN = "assign it in __init__ of {0}, or leave it out"
_METHOD = "super().aggregate_train and super().aggregate_evaluate check replies and log failures"


_OWN = OWN_ARGUMENTS | OWN_METHODS


def problems(names: Names, found: Lineage) -> Iterator[Remark]:
    """Yield why a class would not work if it derived from P2PL."""
    for source, function in found.all_methods():
        name = owner(source, function)
        above = _calls_above_at_last(found, function)
        if function.name == "configure_train" and not above:
            yield _remark(source, function, _WITHOUT_SUPER.format(name))
        elif function.name == "configure_evaluate" and not above and _sends(function):
            yield _remark(source, function, _SENDS.format(name))
        elif function.name == "start" and not above and not _runs_rounds(function):
            yield _remark(source, function, _START.format(name))
        for read in reads(names, source, function):
            if not read.harmless:
                yield _remark(read.source, read.node, _READS.format(function.name, name))
        yield from _attributes(found, source, function)


def losses(names: Names, found: Lineage) -> Iterator[Remark]:
    """Yield what a class does now and would not do if it derived from P2PL."""
    for source, function in found.all_methods():
        name = owner(source, function)
        for read in reads(names, source, function):
            if read.harmless:
                yield _remark(read.source, read.node, _SEES_NONE.format(function.name, name))


def conditions(found: Lineage) -> Iterator[Remark]:
    """Yield what a class does that works under P2PL, but not wherever the project may run."""
    for source, function in found.all_methods():
        name = owner(source, function)
        for use in taken(source, function, calls_above(function, "aggregate_train")):
            if use.breaks:
                yield _remark(source, use.node, _AVERAGE.format(function.name, name))


def calls_above(function: Function, name: str) -> list[ast.Call]:
    """Return the calls of a method above: ``super().name()`` and ``Base.name(self)``."""
    found = []
    for call in (n for n in ast.walk(function) if isinstance(n, ast.Call)):
        target = call.func
        if isinstance(target, ast.Attribute) and target.attr == name:
            value = target.value
            is_super = isinstance(value, ast.Call) and getattr(value.func, "id", "") == "super"
            hands_self = bool(call.args) and getattr(call.args[0], "id", "") == "self"
            if is_super or hands_self:
                found.append(call)
    return found


def _calls_above_at_last(found: Lineage, function: Function) -> bool:
    """Return whether a method calls the one above, itself or by another method of the class."""
    called = {n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute)}
    others = [f for _, f in found.all_methods() if f.name in called]
    return any(calls_above(f, function.name) for f in (function, *others))


def owner(source: Source, function: Function) -> str:
    """Return the name of the class that a method is defined in."""
    return str(getattr(source.parents[function], "name", ""))


def _runs_rounds(function: Function) -> bool:
    called = {n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute)}
    return "configure_train" in called


def _sends(function: Function) -> bool:
    """Return whether a function returns something else than nothing on some path."""
    empty = (None, "[]", "()", "None")
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    yields = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))
    return yields or any((ast.unparse(v) if v else None) not in empty for v in returned)


def _attributes(found: Lineage, source: Source, function: Function) -> Iterator[Remark]:
    defined = {f.name for _, f in found.all_methods()} | _assigned(found)
    first = function.args.args[0].arg if function.args.args else ""
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == first
            and node.attr in _OWN - defined
        ):
            name = owner(source, function)
            advice = _METHOD if node.attr in OWN_METHODS else _ASSIGN.format(name)
            text = _ATTRIBUTE.format(function.name, name, node.attr, advice)
            yield _remark(source, node, text)


def attributes_outside(names: Names, sources: list[Source]) -> Iterator[Remark]:
    """Yield where an attribute is read of a strategy, outside its class, that P2PL has not."""
    for source in sources:
        nodes = [n for n in source.live if isinstance(n, ast.Attribute) and n.attr in _OWN]
        stored = {ast.unparse(n) for n in nodes if isinstance(n.ctx, ast.Store)}
        for node in nodes:
            made = [t for t in names.things(source, node.value) if _makes_theirs(names, t)]
            if made and isinstance(node.ctx, ast.Load) and ast.unparse(node) not in stored:
                yield _remark(source, node, _READ.format(source.code(node)))


def _makes_theirs(names: Names, thing: Thing) -> bool:
    """Return whether something is a call that makes a strategy of Flower's, of no other class."""
    if thing.source is None or not isinstance(thing.node, ast.Call):
        return False
    kind = names.thing(thing.source, thing.node.func)
    return kind.source is None and is_strategy(kind.name) and not why_refused(kind.name)


def _assigned(found: Lineage) -> set[str]:
    """Return the attributes that the project's own classes set, on themselves or on objects."""
    names = set()
    for _, node in found.classes:
        for child in ast.walk(node):
            if isinstance(child, ast.Attribute) and isinstance(child.ctx, ast.Store):
                names.add(child.attr)
        for statement in node.body:
            targets = getattr(statement, "targets", [getattr(statement, "target", None)])
            names |= {t.id for t in targets if isinstance(t, ast.Name)}
    return names


def _remark(source: Source, node: ast.expr | Function, text: str) -> Remark:
    return Remark(source.path, node.lineno, text)
