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
from .values import (
    KINDS,
    Scalar,
    change,
    check_address,
    key_of,
    name_of,
    neighbors_in,
    options_in,
    table,
    typed,
    waiting_in,
)

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
                raise ConfigError(key_of(name), getattr(self, name), f"must be at least {least}")
        if not 0 <= self.device < self.devices:
            raise ConfigError("device", self.device, f"must be from 0 to {self.devices - 1}")
        for name in ("start", "linger"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(name, getattr(self, name), "must be a number of seconds")
        check_address("listen", self.listen, least_port=0)
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
        kinds = {key_of(f.name): f.type for f in dataclasses.fields(cls) if f.type in KINDS}
        option_kinds = {k: type(v) for k, v in Options().to_config().items()}
        option_kinds = {key_of(name): kind for name, kind in option_kinds.items()}
        given: dict[str, Any] = {}
        options: dict[str, Any] = {}
        for key, value in values.items():
            if key in kinds:
                given[name_of(key)] = typed(key, value, KINDS[str(kinds[key])])
            elif key in option_kinds:
                options[name_of(key)] = typed(key, value, option_kinds[key])
            elif key not in _TABLES:
                raise ConfigError(
                    key, value, "unknown key", sorted({*kinds, *option_kinds, *_TABLES})
                )
        for required in ("device", "devices", "listen", "app", "rounds", "neighbors"):
            if required not in values:
                raise ConfigError(required, None, "must be given")
        tables = {key: table(key, values.get(key, {})) for key in _TABLES}
        for key in ("certificates", "checkpoint", "history", "initial_arrays"):
            if given.get(key):
                given[key] = str(folder / given[key])
        return cls(
            **given,
            neighbors=neighbors_in(tables["neighbors"]),
            waiting=waiting_in(tables["waiting"]),
            options=options_in(options),
            node_config=tables["node-config"],
            run_config=tables["run-config"],
        )

    def common(self) -> dict[str, Scalar]:
        """Return what must be the same on all devices of a run."""
        shared = {"devices": self.devices, "rounds": self.rounds}
        return {**shared, **{key_of(k): v for k, v in self.options.to_config().items()}}

    def _check_neighbors(self) -> None:
        if not self.neighbors:
            raise ConfigError("neighbors", {}, "must name at least one device and its address")
        for device, address in self.neighbors.items():
            if device == self.device or not 0 <= device < self.devices:
                rule = f"must be the id of another device, 0 to {self.devices - 1}"
                raise ConfigError(f"neighbors.{device}", address, rule)
            check_address(f"neighbors.{device}", address, least_port=1)
