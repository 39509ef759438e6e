"""The two objects that pyproject.toml names, and where they are made."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from .project import Component
from .python.names import Names, Thing
from .python.source import Source
from .strategy.lineage import is_ours, lineage


@dataclass(frozen=True)
class App:
    """A ClientApp or a ServerApp, as it is made.

    Attributes
    ----------
    source, call : Source, ast.Call
        Where it is made.
    names : tuple[tuple[Source, ast.expr], ...]
        Where Flower's class is named: in the call, or as what the user's own derives from.
    is_ours : bool
        Whether it is made peer to peer already.
    """

    source: Source
    call: ast.Call
    names: tuple[tuple[Source, ast.expr], ...]
    is_ours: bool

    def argument(self, name: str, position: int) -> ast.expr | None:
        """Return an argument that it is made with; none if it is not given, or None."""
        given = [k.value for k in self.call.keywords if k.arg == name]
        given += self.call.args[position : position + 1]
        is_none = bool(given) and isinstance(given[0], ast.Constant) and given[0].value is None
        return given[0] if given and not is_none else None


def app_of(
    names: Names, component: Component, sources: list[Source], theirs: str, ours: str
) -> App | None:
    """Return the app that a component is, or the only one that is made in its files.

    Parameters
    ----------
    names : Names
        Looks names up.
    component : Component
        What pyproject.toml names.
    sources : list[Source]
        The files that it reaches.
    theirs, ours : str
        The class of Flower's, and the one of p2pl_flower that takes its place.
    """
    things = names.member(component.source, component.name)
    made = [app for t in things if (app := _app(names, t, theirs, ours)) is not None]
    if not made:
        every = (names.things(s, call) for s in sources for call in s.calls())
        apps = (_app(names, t, theirs, ours) for found in every for t in found)
        made = list({app.call: app for app in apps if app is not None}.values())
        made = made if len(made) == 1 else []
    if not made:
        return None
    places = dict.fromkeys(place for app in made for place in app.names)
    return App(made[-1].source, made[-1].call, tuple(places), all(app.is_ours for app in made))


def makes_app(names: Names, thing: Thing, theirs: str, ours: str) -> bool:
    """Return whether something is a call that makes an app of this kind."""
    return _app(names, thing, theirs, ours) is not None


def _app(names: Names, thing: Thing, theirs: str, ours: str) -> App | None:
    source, call = thing.source, thing.node
    if source is None or not isinstance(call, ast.Call):
        return None
    made = names.thing(source, call.func)
    if is_ours(made, ours):
        return App(source, call, (), is_ours=True)
    if made.is_flwr(theirs):
        return App(source, call, ((source, call.func),), is_ours=False)
    found = lineage(names, made)
    if found is None:
        return None
    if any(is_ours(root, ours) for root in found.roots):
        return App(source, call, (), is_ours=True)
    bases = [(where, base) for where, node in found.classes for base in node.bases]
    places = tuple((w, b) for w, b in bases if names.thing(w, b).is_flwr(theirs))
    return App(source, call, places, is_ours=False) if places else None
