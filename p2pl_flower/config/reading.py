"""Flat keys, from files and command lines, become classes of options."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError, raise_all
from .declaring import REQUIRED, declared, groups, keys
from .rules import take

T = TypeVar("T")


def build(cls: type[T], values: Mapping[str, Any], **rest: Any) -> T:
    """Make a class of options from flat keys.

    Parameters
    ----------
    cls : type
        The class.
    values : Mapping[str, Any]
        Keys as in a file; those that are missing have their defaults.
    **rest
        What else its constructor is given.

    Raises
    ------
    ConfigError
        As `typed`, or a required key is missing, or the class refuses a value.
    """
    flat, errors = _typed(cls, values)
    errors += [
        ConfigError(key, None, "must be given")
        for key, known in keys(cls).items()
        if known.default is REQUIRED and key not in flat and key not in {e.argument for e in errors}
    ]
    raise_all(errors)
    return _made(cls, flat, rest)


def typed(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat keys of a class with values of their types; tables of groups are flattened.

    Raises
    ------
    ConfigError
        A key is unknown, or a value is of another type or not as its rule says.
    """
    flat, errors = _typed(cls, values)
    raise_all(errors)
    return flat


def _typed(cls: type, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[ConfigError]]:
    """Return what of the keys can be taken, and what is wrong with the others."""
    known, flat = keys(cls), dict(values)
    for name in {key.partition(".")[0] for key in known if "." in key} & values.keys():
        entries = take(name, flat.pop(name), dict)
        flat |= {f"{name}.{key}": entry for key, entry in entries.items()}
    taken: dict[str, Any] = {}
    errors: list[ConfigError] = []
    for key, value in flat.items():
        try:
            if key not in known:
                raise ConfigError(key, value, "unknown key", _near(key, known))
            taken[key] = known[key].take(value)
        except ConfigError as error:
            errors.append(error)
    return taken, errors


def read_toml(key: str, path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    ConfigError
        It cannot be read, or is not valid; names ``key`` and the path.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(key, str(path), f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(key, str(path), f"is not valid TOML: {error}") from None


def change(values: dict[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """Set ``key=value`` or ``table.key=value`` in place, and return the keys.

    Values are TOML, or plain text where that fails.

    Raises
    ------
    ConfigError
        A setting has no ``=``, or what it names as a table is none.
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError("set", setting, "must look like key=value or table.key=value")
        name, dot, key = path.strip().partition(".")
        place = values.setdefault(name, {}) if dot else values
        if not isinstance(place, dict):
            raise ConfigError("set", setting, f"{name} is no table")
        place[key if dot else name] = _value(text.strip())
    return values


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _near(key: str, known: Iterable[str]) -> list[str]:
    """Return the keys that could have been meant: those of the same table."""
    table, dot, _ = key.partition(".")
    inside = [other.removeprefix(table + dot) for other in known if other.startswith(f"{table}.")]
    return inside if dot and inside else sorted({other.partition(".")[0] for other in known})


def _made(cls: type[T], flat: Mapping[str, Any], rest: Mapping[str, Any]) -> T:
    own = {name: flat[o.name] for name, o in declared(cls).items() if o.name in flat}
    held = {}
    for name, group in groups(cls).items():
        its = {key: flat[o.name] for key, o in group.keys().items() if o.name in flat}
        held[name] = _made(group.kind, its, group.defaults)
    return cls(**{**rest, **own, **held})
