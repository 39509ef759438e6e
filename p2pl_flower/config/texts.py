"""Objects become text that devices make equal objects of, or are refused."""

from __future__ import annotations

import functools
from typing import Any

from ..errors import ConfigError
from .paths import path_of
from .rules import Scalar, python
from .tables import Table


def text_of(thing: Any, table: Table[Any]) -> str:
    """Return the text from which ``table.make`` builds an equal object of the same type.

    It is ``name:key=value,...`` where a factory of the table is the object's class, else the
    same with the path to the class or function. What comes of the text is compared with the
    object: so an object arrives as it is, or is refused.

    Raises
    ------
    ConfigError
        There is no such text: the object's class or function is not to be found by its path,
        or the object holds more than numbers, texts and truths that its constructor takes.
    """
    if table.join is not None and type(thing) is table.join:
        return "+".join(text_of(part, table) for part in thing.parts)
    try:
        text = _text(thing, table)
        back = table.make(text)
    except Exception as error:
        rule = error.rule if isinstance(error, ConfigError) else str(error)
        raise cannot_travel(table.option, thing, rule) from None
    if not same(thing, back):
        why = f"what devices would make of {text!r} differs from it"
        raise cannot_travel(table.option, thing, why)
    return text


def described_text(thing: Any, table: Table[Any]) -> str:
    """Return an object's text or, where it has none, that of its class or function.

    It says what an object is, the same in every process, and need not make it again.
    """
    if table.join is not None and type(thing) is table.join:
        return "+".join(described_text(part, table) for part in thing.parts)
    try:
        return text_of(thing, table)
    except ConfigError:
        kind = thing.function if type(thing) is table.wrap else type(thing)
        names = getattr(kind, "__module__", ""), getattr(kind, "__qualname__", repr(kind))
        return ".".join(filter(None, names))


def cannot_travel(option: str, thing: object, why: str) -> ConfigError:
    """Return the error that says why an object cannot be sent to devices."""
    return ConfigError(
        option,
        thing,
        f"cannot be sent to devices: {why}. Let it be a function, or an instance of a frozen "
        "dataclass whose fields are numbers, texts and truths, at the top level of a module that "
        "devices can import: of the app, or of a package with an entry point",
    )


def same(one: Any, other: Any) -> bool:
    """Return whether two objects are of one type and hold equal state, hidden or not."""
    try:
        if type(one) is not type(other) or _state(one) != _state(other):
            return False
        compares: Any = type(one).__eq__
        return compares is object.__eq__ or bool(one == other)
    except (TypeError, ValueError):  # arrays, say, that are not equal or unequal as a whole
        return False


def _text(thing: Any, table: Table[Any]) -> str:
    """Return the text of one object; ValueError where there is none."""
    kind = type(thing)
    if table.wrap is not None and kind is table.wrap:
        return path_of(thing.function)
    names = [name for name, factory in table.entries.items() if factory is kind]
    parameters = {k: p for k, p in table.parameters("", kind).items() if k not in table.reserved}
    values = []
    for key in parameters:
        value = python(getattr(thing, key, None))
        if not isinstance(value, Scalar):
            raise ValueError(f"{key} is {value!r:.60}, which is no number, text or truth")
        values.append(f"{table.shown(key)}={_written(value)}")
    name = names[0] if names else path_of(kind)
    return ":".join(filter(None, [name, ",".join(values)]))


def _written(value: Any) -> str:
    """Return a value so that it reads back equal: 1e+20 as 1e20, for a plus joins texts."""
    if isinstance(value, bool | str):
        return str(value)
    return repr(int(value) if isinstance(value, int) else float(value)).replace("+", "")


def _state(thing: Any) -> dict[str, Any]:
    """Return an object's attributes, those in slots too, but for what is only cached."""
    state = object.__getstate__(thing) or {}
    attributes, slots = state if isinstance(state, tuple) else (state, {})
    kept = {**(attributes or {}), **slots}
    cached = [
        k for k in kept if isinstance(getattr(type(thing), k, None), functools.cached_property)
    ]
    return {k: v for k, v in kept.items() if k not in cached}
