"""Values of a settings file: typed, checked, and turned into objects."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..options import Options
from ..relay.grpc import Waiting
from ..weights import WEIGHTS

Scalar = str | int | float | bool

KINDS = {"int": int, "float": float, "str": str, "bool": bool}


def key_of(name: str) -> str:
    """Return the key of an attribute."""
    return name.replace("_", "-")


def name_of(key: str) -> str:
    """Return the attribute of a key."""
    return key.replace("-", "_")


def typed(key: str, value: Any, kind: type) -> Any:
    """Return a value of the right type, or refuse it."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(key, value, f"must be of type {kind.__name__}")
    return value


def table(key: str, value: Any) -> dict[str, Any]:
    """Return a table of plain values, or refuse it."""
    if not isinstance(value, dict):
        raise ConfigError(key, value, f"must be a table: [{key}]")
    for name, entry in value.items():
        if type(entry) not in (str, int, float, bool):
            raise ConfigError(f"{key}.{name}", entry, "must be a text, a number or true or false")
    return value


def neighbors_in(table: Mapping[str, Any]) -> dict[int, str]:
    """Return addresses by device id."""
    for device, address in table.items():
        if not device.isdecimal() or not isinstance(address, str):
            rule = 'must be a line such as 3 = "192.168.1.20:9400"'
            raise ConfigError(f"neighbors.{device}", address, rule)
    return {int(device): table[device] for device in sorted(table, key=int)}


def waiting_in(table: Mapping[str, Any]) -> Waiting:
    """Return the waiting policy."""
    names = [f.name for f in dataclasses.fields(Waiting)]
    for key in table:
        if key not in names:
            raise ConfigError(f"waiting.{key}", table[key], "unknown key", names)
    try:
        return Waiting(**table)
    except ConfigError as error:
        raise ConfigError(f"waiting.{error.argument}", error.value, error.rule) from None


def options_in(given: Mapping[str, Any]) -> Options:
    """Return the algorithm's options."""
    if given.get("weights", "metropolis") not in WEIGHTS.entries:
        rule = "unknown name"
        raise ConfigError("weights", given["weights"], rule, sorted(WEIGHTS.entries))
    if given.get("init") == "shared":
        rule = "there is no server to hand out a common start: use max-norm, or give all devices "
        rule += "the same initial-arrays"
        raise ConfigError("init", "shared", rule)
    return Options.of(**given)


def check_address(key: str, address: str, least_port: int) -> None:
    """Refuse what is not ``host:port``."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not least_port <= int(port) < 65536:
        raise ConfigError(
            key, address, f"must be host:port, with a port from {least_port} to 65535"
        )


def change(values: dict[str, Any], setting: str) -> None:
    """Set ``key=value`` or ``table.key=value``; the value is TOML, or text where that fails."""
    path, equals, text = setting.partition("=")
    if not equals:
        raise ConfigError("set", setting, "must look like key=value or table.key=value")
    table, dot, key = path.strip().partition(".")
    place = values.setdefault(table, {}) if dot else values
    if not isinstance(place, dict):
        raise ConfigError("set", setting, f"{table} is no table")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    place[key if dot else table] = value
