"""The classes that a strategy of the user's derives from, through all files of the project."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from ..flwr_names import LEGACY_STRATEGIES, STRATEGIES, is_strategy
from ..python.names import Names, Thing
from ..python.source import Function, Source


@dataclass(frozen=True)
class Lineage:
    """A class of the project, and what it derives from.

    Attributes
    ----------
    classes : tuple[tuple[Source, ast.ClassDef], ...]
        The project's own classes, as methods are looked up in them: the class itself first.
    roots : tuple[Thing, ...]
        The classes of other packages.
    """

    classes: tuple[tuple[Source, ast.ClassDef], ...]
    roots: tuple[Thing, ...]

    @property
    def name(self) -> str:
        """The class's name."""
        return self.classes[0][1].name

    def root(self, modules: str = STRATEGIES) -> Thing | None:
        """Return the strategy of Flower's that it derives from, if there is one."""
        return next((t for t in self.roots if is_strategy(t.name, modules)), None)

    def deriving(self, names: Names, root: Thing) -> tuple[Source, ast.ClassDef]:
        """Return the class of the project that names another package's class as its base."""
        for source, node in self.classes:
            if any(names.thing(source, base) == root for base in node.bases):
                return source, node
        return self.classes[0]

    @property
    def is_ours(self) -> bool:
        """Whether it derives from P2PL."""
        return any(is_ours(t, "P2PL") for t in self.roots)

    def methods(self, name: str) -> Iterator[tuple[Source, Function]]:
        """Yield the definitions of a method, the one that is called first."""
        for source, node in self.classes:
            for function in node.body:
                if isinstance(function, Function) and function.name == name:
                    yield source, function

    def all_methods(self) -> Iterator[tuple[Source, Function]]:
        """Yield all methods of the project's own classes."""
        for source, node in self.classes:
            yield from ((source, f) for f in node.body if isinstance(f, Function))


def is_ours(thing: Thing, *names: str) -> bool:
    """Return whether something is one of these names of p2pl_flower."""
    return thing.name.startswith("p2pl_flower.") and thing.last in names


def lineage(names: Names, thing: Thing) -> Lineage | None:
    """Return a class's lineage; none if it is no class of the project."""
    if thing.source is None or not isinstance(thing.node, ast.ClassDef):
        return None
    classes: dict[ast.ClassDef, Source] = {}
    roots: dict[Thing, None] = {}
    _climb(names, thing.source, thing.node, classes, roots)
    return Lineage(tuple((s, n) for n, s in classes.items()), tuple(roots))


def is_strategy_class(names: Names, thing: Thing, modules: str = STRATEGIES) -> bool:
    """Return whether something is a strategy class: Flower's, or one derived from it."""
    if thing.source is None:
        return is_strategy(thing.name, modules)
    found = lineage(names, thing)
    return found is not None and found.root(modules) is not None


def is_legacy_class(names: Names, thing: Thing) -> bool:
    """Return whether something is a strategy class for a ``server_fn``."""
    return is_strategy_class(names, thing, LEGACY_STRATEGIES)


def _climb(
    names: Names,
    source: Source,
    node: ast.ClassDef,
    classes: dict[ast.ClassDef, Source],
    roots: dict[Thing, None],
) -> None:
    if node in classes:
        return
    classes[node] = source
    for base in node.bases:
        found = names.thing(source, base)
        if found.source is not None and isinstance(found.node, ast.ClassDef):
            _climb(names, found.source, found.node, classes, roots)
        elif found.name:
            roots[found] = None
