"""What one device is told: ``device.toml``, checked once."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..options import Options
from ..relay.grpc import Waiting
from ..weights import WEIGHTS

Scalar = str | int | float | bool

_TABLES = ("neighbors", "waiting", "node-config", "run-config")


@dataclass(frozen=True)
class Settings:
    """One device's settings; the attributes are the keys of the file, with ``-`` for ``_``.

    Attributes
    ----------
    device : int
        Id of this device, from 0.
    devices : int
        How many there are in all.
    listen : str
        ``host:port`` to be reached at.
    app : str
        The ClientApp: ``package.module:name``.
    rounds : int
        Rounds to run.
    neighbors : Mapping[int, str]
        Addresses by device id.
    run : str
        Name of the run: devices of another one are refused.
    certificates : str
        Folder with ``ca.pem``, ``device-N.pem`` and ``device-N.key``.
    insecure : bool
        Go without TLS: anybody who can reach the port can read and send models.
    checkpoint : str
        Folder for the state after each round; empty for none.
    history : str
        File for what the rounds measured; empty for none.
    init_function, initial_arrays : str
        Where the initial model comes from, if the app has no ``@app.init()``: a function,
        or a safetensors file.
    sync_steps : int
        Steps of max norm synchronization: at least the graph's diameter. 0 is
        ``devices - 1``, which is enough for any connected graph.
    evaluate_every : int
        Score the models in every n-th round and in the last; 0 is never.
    start, linger : float
        Seconds to wait for neighbors before the first round, and to serve those that are
        still behind after the last.
    waiting : Waiting
        How long to wait for neighbors' models in each consensus step.
    options : Options
        The algorithm's options.
    node_config, run_config : Mapping
        What the app's Context holds.

    Raises
    ------
    ConfigError
        Names the key, its value and the rule.
    """

    device: int
    devices: int
    listen: str
    app: str
    rounds: int
    neighbors: Mapping[int, str]
    run: str = "p2pl"
    certificates: str = ""
    insecure: bool = False
    checkpoint: str = ""
    history: str = ""
    init_function: str = ""
    initial_arrays: str = ""
    sync_steps: int = 0
    evaluate_every: int = 1
    start: float = 120.0
    linger: float = 30.0
    waiting: Waiting = field(default_factory=Waiting)
    options: Options = field(default_factory=Options)
    node_config: Mapping[str, Scalar] = field(default_factory=dict)
    run_config: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (
            ("devices", 2),
            ("rounds", 1),
            ("sync_steps", 0),
            ("evaluate_every", 0),
        ):
            if getattr(self, name) < least:
                raise ConfigError(_key(name), getattr(self, name), f"must be at least {least}")
        if not 0 <= self.device < self.devices:
            raise ConfigError("device", self.device, f"must be from 0 to {self.devices - 1}")
        for name in ("start", "linger"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(name, getattr(self, name), "must be a number of seconds")
        _check_address("listen", self.listen, least_port=0)
        self._check_neighbors()
        if bool(self.certificates) == self.insecure:
            rule = "name the folder that `p2pl-flower certs` made, or ask for insecure = true"
            raise ConfigError("certificates", self.certificates, rule)

    @classmethod
    def load(cls, path: Path, changes: Iterable[str] = ()) -> Settings:
        """Read a file, with ``key=value`` changes; paths in it are relative to its folder."""
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError("settings", str(path), f"cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError("settings", str(path), f"is not valid TOML: {error}") from None
        for setting in changes:
            change(values, setting)
        return cls.of(values, path.parent)

    @classmethod
    def of(cls, values: Mapping[str, Any], folder: Path = Path()) -> Settings:
        """Make settings from the keys of a file."""
        kinds = {_key(f.name): f.type for f in dataclasses.fields(cls) if f.type in _KINDS}
        option_kinds = {k: type(v) for k, v in Options().travelling().items()}
        option_kinds = {_key(name): kind for name, kind in option_kinds.items()}
        given: dict[str, Any] = {}
        options: dict[str, Any] = {}
        for key, value in values.items():
            if key in kinds:
                given[_name(key)] = _typed(key, value, _KINDS[str(kinds[key])])
            elif key in option_kinds:
                options[_name(key)] = _typed(key, value, option_kinds[key])
            elif key not in _TABLES:
                raise ConfigError(
                    key, value, "unknown key", sorted({*kinds, *option_kinds, *_TABLES})
                )
        for required in ("device", "devices", "listen", "app", "rounds", "neighbors"):
            if required not in values:
                raise ConfigError(required, None, "must be given")
        tables = {key: _table(key, values.get(key, {})) for key in _TABLES}
        for key in ("certificates", "checkpoint", "history", "initial_arrays"):
            if given.get(key):
                given[key] = str(folder / given[key])
        return cls(
            **given,
            neighbors=_neighbors(tables["neighbors"]),
            waiting=_waiting(tables["waiting"]),
            options=_options(options),
            node_config=tables["node-config"],
            run_config=tables["run-config"],
        )

    def common(self) -> dict[str, Scalar]:
        """Return what must be the same on all devices of a run."""
        shared = {"devices": self.devices, "rounds": self.rounds}
        return {**shared, **{_key(k): v for k, v in self.options.travelling().items()}}

    def _check_neighbors(self) -> None:
        if not self.neighbors:
            raise ConfigError("neighbors", {}, "must name at least one device and its address")
        for device, address in self.neighbors.items():
            if device == self.device or not 0 <= device < self.devices:
                rule = f"must be the id of another device, 0 to {self.devices - 1}"
                raise ConfigError(f"neighbors.{device}", address, rule)
            _check_address(f"neighbors.{device}", address, least_port=1)


_KINDS = {"int": int, "float": float, "str": str, "bool": bool}


def _key(name: str) -> str:
    return name.replace("_", "-")


def _name(key: str) -> str:
    return key.replace("-", "_")


def _typed(key: str, value: Any, kind: type) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(key, value, f"must be of type {kind.__name__}")
    return value


def _table(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(key, value, f"must be a table: [{key}]")
    for name, entry in value.items():
        if type(entry) not in (str, int, float, bool):
            raise ConfigError(f"{key}.{name}", entry, "must be a text, a number or true or false")
    return value


def _neighbors(table: Mapping[str, Any]) -> dict[int, str]:
    for device, address in table.items():
        if not device.isdecimal() or not isinstance(address, str):
            rule = 'must be a line such as 3 = "192.168.1.20:9400"'
            raise ConfigError(f"neighbors.{device}", address, rule)
    return {int(device): table[device] for device in sorted(table, key=int)}


def _waiting(table: Mapping[str, Any]) -> Waiting:
    names = [f.name for f in dataclasses.fields(Waiting)]
    for key in table:
        if key not in names:
            raise ConfigError(f"waiting.{key}", table[key], "unknown key", names)
    try:
        return Waiting(**table)
    except ConfigError as error:
        raise ConfigError(f"waiting.{error.argument}", error.value, error.rule) from None


def _options(given: Mapping[str, Any]) -> Options:
    if given.get("weights", "metropolis") not in WEIGHTS.entries:
        rule = "unknown name"
        raise ConfigError("weights", given["weights"], rule, sorted(WEIGHTS.entries))
    return Options.of(**given)


def _check_address(key: str, address: str, least_port: int) -> None:
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
