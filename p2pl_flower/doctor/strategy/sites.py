"""The places in a ServerApp that change where strategies become P2PL."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from ..findings import Remark
from ..python.methods import Methods
from ..python.names import Names, Thing
from ..python.rewrites import Rewrites
from ..python.source import Function, Source
from .arguments import Arguments, converted
from .lineage import Lineage
from .proximal import Proximal
from .references import Reference, Use, is_known
from .run_config import RunConfig
from .signatures import Init, handed_on, inits, inits_above
from .tables import Tables

_LEFT_OUT = "{}: P2PL has no such argument"
_ALL = "; all devices that are there train"
_TRAIN, _SCORE = {"fraction_train", "min_train_nodes"}, {"min_evaluate_nodes"}
_MIXED = (
    "makes one of {}, of which P2PL can take the place of some only: make them in places of "
    "their own"
)
_SEVERAL = (
    "{} may be one of several functions, of which some make strategies that become P2PL: call "
    "the one that is meant by a name of its own"
)
_DIFFER = "makes one of {}, whose arguments are not the same: make them in places of their own"


class Convertible(Protocol):
    """A strategy class that becomes P2PL, or is it."""

    @property
    def lineage(self) -> Lineage | None:
        """What it derives from."""

    @property
    def is_ours(self) -> bool:
        """Whether it is P2PL already."""


class Sites:
    """Puts P2PL where strategies of Flower's are named, made or derived from.

    Parameters
    ----------
    names : Names
        Looks names up.
    sources : list[Source]
        The files that the ServerApp reaches.
    known : list[Reference]
        Where strategy classes are named.
    good : Mapping[Thing, Convertible]
        The classes that become P2PL, or are it.
    config : RunConfig
        Values of arguments.
    rewrites : Rewrites
        Takes the edits.

    Attributes
    ----------
    problems, lost, notes : list[Remark]
        What is in the way, what is lost, and what is worth knowing.
    """

    def __init__(
        self,
        names: Names,
        sources: list[Source],
        known: list[Reference],
        good: Mapping[Thing, Convertible],
        config: RunConfig,
        rewrites: Rewrites,
    ) -> None:
        self.names, self.config, self.rewrites = names, config, rewrites
        self.problems: list[Remark] = []
        self.lost: list[Remark] = []
        self.notes: list[Remark] = []
        self._good, self._sources = good, sources
        self._made: set[Thing] = set()
        self._classes = self._converted_classes()
        self._proximal = Proximal(names, config)
        self._tables = Tables(config)
        self._factories: dict[ast.AST, list[Init]] = {}
        self._methods = Methods(names, sources)
        for source in sources:
            for call in source.calls():
                self._call(source, call)
        self._factory_calls()
        for each in known:
            self._name(each)
        self._super_calls()
        self.problems += self._tables.problems()
        for source, edits in self._tables.edits():
            self.rewrites.edit(source, *edits)

    def is_made(self, thing: Thing) -> bool:
        """Return whether it was seen where instances of a class are made."""
        return thing in self._made

    def _converted_classes(self) -> dict[ast.ClassDef, Lineage]:
        """Return the project's classes that become, or lie above, one that derives from P2PL."""
        return {
            node: each.lineage
            for each in self._good.values()
            if each.lineage is not None and not each.is_ours
            for _, node in each.lineage.classes
        }

    def _call(self, source: Source, call: ast.Call) -> None:
        """Change the arguments of a call that makes a strategy."""
        first, function = 0, call.func
        if _is_partial(self.names, source, call):
            first, function = 1, call.args[0]
        things = [t for t in self._made_by(source, function) if is_known(self.names, t)]
        if not things or not any(t in self._good for t in things):
            return
        self._made.update(things)
        listed = " or ".join(sorted(t.last for t in things))
        at = (source.path, call.lineno)
        if not all(t in self._good for t in things):
            self.problems.append(Remark(*at, _MIXED.format(listed)))
            return
        theirs = [t for t in things if not self._good[t].is_ours]
        found = [
            converted(source, call, inits(self._good[t].lineage), self.config, first)
            for t in theirs
        ]
        if any(f.edits != found[0].edits for f in found):
            self.problems.append(Remark(*at, _DIFFER.format(listed)))
        elif found:
            self._arguments(source, call, found[0])
            for thing in theirs:
                for node in found[0].tables:
                    self._tables.add(source, node, inits(self._good[thing].lineage))
                self._factory(source, call, inits(self._good[thing].lineage))
            self._prox(source, call, theirs)

    def _made_by(self, source: Source, function: ast.expr) -> Iterator[Thing]:
        """Yield what a call of something makes one of: ``functools.partial`` is looked into."""
        for thing in self.names.things(source, function):
            inner = thing.node
            if thing.source and isinstance(inner, ast.Call):
                if _is_partial(self.names, thing.source, inner):
                    yield from self._made_by(thing.source, inner.args[0])
            else:
                yield thing

    def _factory(self, source: Source, call: ast.Call, chain: list[Init]) -> None:
        """Note the function around a call that hands its own ``**options`` on to it."""
        function = source.function(call)
        if function is not None and function.name != "__init__":
            is_static = "staticmethod" in {getattr(d, "id", "") for d in function.decorator_list}
            is_method = isinstance(source.parents[function], ast.ClassDef) and not is_static
            taken = handed_on(function, call, is_method)
            if taken is not None:
                self._factories[function] = [taken, *chain]

    def _factory_calls(self) -> None:
        """Change the arguments of functions that hand them on, and of those that call them."""
        done: set[ast.Call] = set()
        while True:
            found = [
                (source, call, chains)
                for source in self._sources
                for call in source.calls()
                if call not in done and (chains := self._chains(source, call))
            ]
            for source, call, chains in found:
                done.add(call)
                self._given(source, call, chains[0], 0)
                self._factory(source, call, chains[0])
            if not found:
                return

    def _chains(self, source: Source, call: ast.Call) -> list[list[Init]]:
        """Return how functions take their arguments that make strategies, and that a call is of."""
        named = [t.node for t in self.names.things(source, call.func)]
        may_be = [n for n in named if isinstance(n, Function)] or self._methods.called(source, call)
        chains = [self._factories[node] for node in may_be if node in self._factories]
        made = [converted(source, call, chain, self.config).edits for chain in chains]
        alike = len(chains) == len(may_be) and all(edits == made[0] for edits in made)
        if any(made) and not alike:
            text = _SEVERAL.format(source.code(call.func))
            self.problems.append(Remark(source.path, call.lineno, text))
        return chains if alike else []

    def _given(self, source: Source, call: ast.Call, chain: list[Init], first: int) -> None:
        """Change the arguments of a call that hands them on."""
        given = converted(source, call, chain, self.config, first)
        self._arguments(source, call, given)
        for node in given.tables:
            self._tables.add(source, node, chain)

    def _arguments(self, source: Source, call: ast.Call, found: Arguments) -> None:
        self.rewrites.edit(source, *found.edits)
        self.problems += [Remark(source.path, call.lineno, text) for text in found.problems]
        if text := _left_out(found.left_out, self.config.scored):
            self.notes.append(Remark(source.path, call.lineno, text))

    def _prox(self, source: Source, call: ast.Call, things: list[Thing]) -> None:
        for thing in things:
            found = self._good[thing].lineage
            if any(t.is_flwr("FedProx") for t in ([thing] if found is None else found.roots)):
                verdict = self._proximal.of(source, call)
                self.rewrites.edit(source, *verdict.edits)
                if verdict.needs_record:
                    self.rewrites.need(source, "from flwr.app import ConfigRecord")
                self.problems += verdict.refused
                self.lost += verdict.lost

    def _name(self, each: Reference) -> None:
        """Put P2PL where a class of Flower's is named."""
        if each.thing.source is not None or not each.direct or each.use is Use.ASKED:
            return
        inside = self._class_of(each)
        if each.use in (Use.BASE, Use.METHOD):
            if inside is None or not each.thing.name.startswith("flwr."):
                return
        elif each.thing not in self._good or self._good[each.thing].is_ours:
            return
        self.rewrites.rename(each.source, each.node, "P2PL")

    def _class_of(self, each: Reference) -> ast.ClassDef | None:
        """Return the converted class that a name stands in."""
        around = (n for n in each.source.above(each.node) if isinstance(n, ast.ClassDef))
        return next((n for n in around if n in self._classes), None)

    def _super_calls(self) -> None:
        """Change the arguments that classes hand on to those above them."""
        done: set[ast.Call] = set()
        for found in self._classes.values():
            for source, function in found.all_methods():
                for call, first in _init_calls(function):
                    if call not in done:
                        done.add(call)
                        self._given(source, call, inits_above(found, function), first)


def _left_out(names: Iterable[str], scored: bool) -> str:
    """Return what there is to say about arguments that go; nothing where nobody misses them."""
    missed = [name for name in names if scored or name not in _SCORE]
    text = _LEFT_OUT.format(", ".join(missed)) + (_ALL if _TRAIN.intersection(missed) else "")
    return text if missed else ""


def _is_partial(names: Names, source: Source, call: ast.Call) -> bool:
    return bool(call.args) and names.thing(source, call.func).name == "functools.partial"


def _init_calls(function: Function) -> Iterator[tuple[ast.Call, int]]:
    """Yield the calls of ``__init__`` above, and how many arguments go before theirs."""
    for call in (n for n in ast.walk(function) if isinstance(n, ast.Call)):
        target = call.func
        if isinstance(target, ast.Attribute) and target.attr == "__init__":
            is_super = isinstance(target.value, ast.Call)
            yield call, 0 if is_super else 1
