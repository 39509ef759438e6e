"""Text such as ``erdos-renyi:p=0.1`` turned into objects.

Grammar: ``name``, ``name:value[,value...]`` or ``name:key=value[,key=value...]``, where
positional values come first. Keys are the factory's own parameter names, with ``-`` or
``_`` alike. A name is one of a table's own, that of an entry point in the table's group, or
where an object is to be found: ``package.module.Class``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

from ..errors import ConfigError
from .paths import found_at
from .rules import Scalar

T = TypeVar("T")

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Table(Generic[T]):
    """The named things that one option can be.

    Parameters
    ----------
    option : str
        Name of the option, for error messages.
    entries : Mapping[str, Callable[..., T]]
        Factory of each name. Parameters are read from its signature and converted
        by their annotations (``int``, ``float``, ``bool`` or ``str``).
    reserved : tuple[str, ...]
        Parameters that are not the user's to set (``n`` and ``seed`` of a topology).
    group : str
        Entry points of this group are looked up for names that are not among the entries.
    base : tuple[type, ...]
        What all are instances of. Only such classes and instances, and functions, are taken
        from other packages.
    wrap : Callable[[Callable], T] or None
        What makes one of a function, as its attribute ``function``; None where functions are
        factories.
    join : Callable[[tuple[T, ...]], T] or None
        What makes one of several, as its attribute ``parts``; texts are joined by ``+``.
    aliases : Mapping[str, str]
        Parameters by the names that they have in text, where these differ.
    """

    option: str
    entries: Mapping[str, Callable[..., T]]
    reserved: tuple[str, ...] = ()
    group: str = ""
    base: tuple[type, ...] = ()
    wrap: Callable[[Callable[..., Any]], T] | None = None
    join: Callable[[tuple[T, ...]], T] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)

    def bind(self, text: str, **given: Any) -> tuple[Callable[..., T], dict[str, Any]]:
        """Return the factory that ``text`` names and its arguments.

        Parameters
        ----------
        text : str
            Names one, without ``+``.
        **given
            What parameters of these names are, if there are such and the text sets none.

        Raises
        ------
        ConfigError
            Unknown name or parameter, a value of the wrong type, or one missing; or what the
            name stands for cannot be imported or is something else.
        """
        name, _, rest = str(text).strip().partition(":")
        factory = self.entries[name] if name in self.entries else self._found(text, name)
        every = self.parameters(text, factory)
        parameters = {key: p for key, p in every.items() if key not in self.reserved}
        arguments = self._arguments(text, rest, parameters)
        arguments = {**{k: v for k, v in given.items() if k in every}, **arguments}
        for key, parameter in parameters.items():
            if parameter.default is parameter.empty and key not in arguments:
                needed = self.shown(key)
                rule = f"needs {needed}, as in '{name}:{needed}=...'"
                raise ConfigError(self.option, text, rule)
        return factory, arguments

    def make(self, text: str, **given: Any) -> T:
        """Return the object that ``text`` describes; ``given`` is as for `bind`.

        Raises
        ------
        ConfigError
            As `bind`, or because the factory refused a value.
        """
        parts = [self._one(part, given) for part in (text.split("+") if self.join else [text])]
        if self.join is None or len(parts) == 1:
            return parts[0]
        try:
            return self.join(tuple(parts))
        except ConfigError as error:
            raise ConfigError(self.option, text, error.rule) from None

    def of(self, thing: object, **given: Any) -> T:
        """Return what users give, a text, an object or a function, as an object.

        Raises
        ------
        ConfigError
            As `make`, or it is something else.
        """
        if isinstance(thing, str):
            return self.make(thing, **given)
        if isinstance(thing, self.base) and not isinstance(thing, type):
            return thing  # type: ignore[return-value]
        if self.wrap is not None and callable(thing) and not isinstance(thing, type):
            return self.wrap(thing)
        raise ConfigError(self.option, thing, f"must be a name, {self._kinds()}", self.names())

    def names(self) -> list[str]:
        """Return all names: the table's own, and those of entry points."""
        return sorted({*self.entries, *(point.name for point in self._points())})

    def blame(self, text: str, error: ConfigError) -> ConfigError:
        """Return ``error`` with the option and the text that it came from."""
        rule = str(error) if error.argument != self.option else error.rule
        return type(error)(self.option, text, rule)

    def _one(self, text: str, given: Mapping[str, Any]) -> T:
        factory, arguments = self.bind(text, **given)
        try:
            made = factory(**arguments)
        except ConfigError as error:
            raise self.blame(text, error) from None
        if self.base and not isinstance(made, self.base):
            rule = f"makes {made!r:.60}, but must make {self._kinds()}"
            raise ConfigError(self.option, text, rule)
        return made

    def _points(self) -> list[Any]:
        return sorted(entry_points(group=self.group)) if self.group else []

    def _found(self, text: str, name: str) -> Callable[..., T]:
        """Return the factory that is an entry point's, or at a path."""
        points = [point for point in self._points() if point.name == name]
        if len(points) > 1:
            rule = "is the name of several plugins: "
            raise ConfigError(self.option, text, rule + ", ".join(p.value for p in points))
        if not points and "." not in name:
            raise ConfigError(self.option, text, "unknown name", self.names())
        try:
            thing = points[0].load() if points else found_at(name)
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            rule = f"cannot be imported ({cause})"
            if points:
                package = points[0].dist.name if points[0].dist else "an unknown package"
                rule = f"the plugin {points[0].value!r} of {package} {rule}"
            raise ConfigError(self.option, text, rule) from error
        return self._factory(text, thing)

    def _factory(self, text: str, thing: Any) -> Callable[..., T]:
        """Return what makes one of the table's things from somebody else's object."""
        if isinstance(thing, type) and self.base and issubclass(thing, self.base):
            return cast("Callable[..., T]", thing)
        if self.base and isinstance(thing, self.base):
            return functools.partial(_itself, cast("T", thing))
        if inspect.isfunction(thing) and (self.base or self.wrap):
            return thing if self.wrap is None else functools.partial(self.wrap, thing)
        raise ConfigError(self.option, text, f"is {thing!r:.60}, but must be {self._kinds()}")

    def _kinds(self) -> str:
        listed = [kind.__name__ for kind in self.base]
        functions = "a function that makes one" if self.wrap is None else "a function"
        return ", ".join([f"an instance of {' or '.join(listed)}", functions])

    def parameters(self, text: str, factory: Callable[..., T]) -> dict[str, inspect.Parameter]:
        """Return a factory's parameters by name, the reserved ones too.

        Raises
        ------
        ConfigError
            Its annotations cannot be read; names ``text``.
        """
        try:
            signature = inspect.signature(factory, eval_str=True)
        except NameError as error:
            rule = f"has annotations that cannot be read ({error}): parameters must be of the "
            raise ConfigError(self.option, text, f"{rule}types int, float, bool or str") from None
        except ValueError:  # a class of an extension module, which has none that can be seen
            return {}
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return {key: p for key, p in signature.parameters.items() if p.kind in named}

    def shown(self, key: str) -> str:
        """Return the name that a parameter has in text."""
        return next((alias for alias, name in self.aliases.items() if name == key), key)

    def _arguments(
        self, text: str, rest: str, parameters: Mapping[str, inspect.Parameter]
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for position, part in enumerate(filter(None, (p.strip() for p in rest.split(",")))):
            key, equals, value = (p.strip() for p in part.partition("="))
            if not equals:
                if position >= len(parameters):
                    rule = f"takes at most {len(parameters)} value(s)"
                    raise ConfigError(self.option, text, rule, map(self.shown, parameters))
                key, value = list(parameters)[position], key
            key = key.replace("-", "_")
            name = self.aliases[key] if self.aliases.get(key) in parameters else key
            if name not in parameters:
                rule = f"unknown parameter {key!r}"
                raise ConfigError(self.option, text, rule, map(self.shown, parameters))
            arguments[name] = self._convert(text, key, value, _kind(parameters[name]))
        return arguments

    def _convert(self, text: str, key: str, value: str, kind: Any) -> Any:
        if kind is inspect.Parameter.empty:
            rule = f"{key} has no annotation in the code: let it say int, float, bool or str"
            raise ConfigError(self.option, text, rule)
        try:
            return _TRUTH[value.lower()] if kind is bool else kind(value)
        except (KeyError, TypeError, ValueError):
            name = getattr(kind, "__name__", str(kind))
            rule = f"{key} must be of type {name}, got {value!r}"
            raise ConfigError(self.option, text, rule) from None


def _itself(thing: T) -> T:
    return thing


def _kind(parameter: inspect.Parameter) -> Any:
    """Return a parameter's type: what its annotation says, or its default."""
    plain = isinstance(parameter.default, Scalar)
    guessed = type(parameter.default) if plain else inspect.Parameter.empty
    return guessed if parameter.annotation is parameter.empty else parameter.annotation
