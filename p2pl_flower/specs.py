"""Text such as ``erdos-renyi:p=0.1`` turned into objects: the one place for it.

Grammar: ``name``, ``name:value[,value...]`` or ``name:key=value[,key=value...]``, where
positional values come first. Keys are the factory's own parameter names, with ``-`` or
``_`` alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .errors import ConfigError

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
    """

    option: str
    entries: Mapping[str, Callable[..., T]]
    reserved: tuple[str, ...] = ()

    def bind(self, text: str) -> tuple[Callable[..., T], dict[str, Any]]:
        """Return the factory that ``text`` names and the arguments it sets.

        Raises
        ------
        ConfigError
            Unknown name or parameter, a value of the wrong type, or one missing.
        """
        name, _, rest = str(text).strip().partition(":")
        if name not in self.entries:
            raise ConfigError(self.option, text, "unknown name", sorted(self.entries))
        factory = self.entries[name]
        parameters = {
            key: parameter
            for key, parameter in inspect.signature(factory, eval_str=True).parameters.items()
            if key not in self.reserved
        }
        arguments = self._arguments(text, rest, parameters)
        for key, parameter in parameters.items():
            if parameter.default is parameter.empty and key not in arguments:
                raise ConfigError(self.option, text, f"needs {key}, as in '{name}:{key}=...'")
        return factory, arguments

    def make(self, text: str) -> T:
        """Return the object that ``text`` describes.

        Raises
        ------
        ConfigError
            As `bind`, or because the factory refused a value.
        """
        factory, arguments = self.bind(text)
        try:
            return factory(**arguments)
        except ConfigError as error:
            raise self.blame(text, error) from None

    def blame(self, text: str, error: ConfigError) -> ConfigError:
        """Return ``error`` with the option and the text that it came from."""
        rule = str(error) if error.argument != self.option else error.rule
        return type(error)(self.option, text, rule)

    def _arguments(
        self, text: str, rest: str, parameters: Mapping[str, inspect.Parameter]
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for position, part in enumerate(filter(None, (p.strip() for p in rest.split(",")))):
            key, equals, value = (p.strip() for p in part.partition("="))
            if not equals:
                if position >= len(parameters):
                    rule = f"takes at most {len(parameters)} value(s)"
                    raise ConfigError(self.option, text, rule, parameters)
                key, value = list(parameters)[position], key
            key = key.replace("-", "_")
            if key not in parameters:
                raise ConfigError(self.option, text, f"unknown parameter {key!r}", parameters)
            arguments[key] = self._convert(text, key, value, parameters[key].annotation)
        return arguments

    def _convert(self, text: str, key: str, value: str, kind: Any) -> Any:
        try:
            return _TRUTH[value.lower()] if kind is bool else kind(value)
        except (KeyError, TypeError, ValueError):
            name = getattr(kind, "__name__", str(kind))
            rule = f"{key} must be of type {name}, got {value!r}"
            raise ConfigError(self.option, text, rule) from None
