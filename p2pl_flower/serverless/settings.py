"""What one device is told: ``device.toml``, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..config import (
    Converted,
    Scalar,
    at_least,
    build,
    change,
    check_fields,
    described,
    group,
    key_of,
    keys,
    look_here,
    name_of,
    one_of,
    option,
    read_toml,
    within,
)
from ..errors import ConfigError, raise_all
from ..flower import failures
from ..options import (
    EVALUATE_EVERY,
    LOGGERS_KEY,
    NUM_DEVICES,
    ROUNDS,
    TOPOLOGY,
    Options,
    check_asynchronous,
    check_direction,
    check_loggers,
)
from ..relay.grpc import Waiting
from ..relay.tunnel import DIAL_OUT
from ..system.metrics_page import check_metrics
from ..topology import Schedule, schedule
from . import model_file
from .addresses import by_device, check_address, is_everywhere
from .membership import Joining

_MOST_DEVICES = 100_000
_SECONDS = within("[0, inf)", "seconds")


@described
@dataclass(frozen=True)
class Settings:
    """One device's settings; the attributes are the keys of the file, with ``-`` for ``_``.

    Raises
    ------
    ConfigError
        Names the key, its value and the rule.
    """

    device: int = option(help="id of this device, from 0")
    num_devices: int = NUM_DEVICES.field(rule=at_least(2))
    listen: str = option(
        help="`host:port` to be reached at; `dial-out` for a device that nobody can dial, behind a "
        "router, say"
    )
    app: str = option(help="the ClientApp: `package.module:name`")
    rounds: int = ROUNDS.field()
    neighbors: Converted[Mapping[int, str], Mapping[Any, str]] = option(
        kind=dict,
        converted=True,
        help='neighbors\' addresses: lines such as `3 = "host:9400"`, '
        'or `3 = "dial-out"` for one that dials',
    )
    address: str = option(
        "",
        help="what other devices are told to reach this one at, where they may join; `listen` if "
        "left out",
    )
    rendezvous: str = option(
        "",
        help="`host:port` of a `p2pl-flower rendezvous`, or of a peer with `serve-rendezvous`: "
        "where this device meets neighbors that cannot be dialed, if it cannot be either",
    )
    serve_rendezvous: bool = option(
        False,
        help="`true` lets devices that can only dial out meet here: what they say to each other "
        "passes through, encrypted between them",
    )
    authority: str = option(
        "",
        is_path=True,
        help="folder with `ca.pem` and `ca.key`: this device lets in who comes with an invitation",
    )
    topology: str = TOPOLOGY.field(
        "",
        help="which neighbors are linked when, where that changes: a schedule such as "
        "`random-matchings`, the same on all devices, each of which lists all that it ever meets; "
        "if left out, all neighbors always are",
    )
    run: str = option("p2pl", help="name of the run; devices of another are refused")
    certificates: str = option(
        "", is_path=True, help="folder with `ca.pem`, `device-N.pem` and `device-N.key`"
    )
    insecure: bool = option(
        False,
        help="`true` goes without TLS, instead of `certificates`: anybody who can reach the port "
        "can read and send models",
    )
    checkpoint: str = option(
        "",
        is_path=True,
        help="folder for the device's state after every round, and for the models it is working "
        "with; without one nothing is saved, and these are in the folder for temporary files",
    )
    model: str = option(
        "",
        is_path=True,
        help="file for the trained model, at the end; `model.safetensors` beside the checkpoint "
        "if left out, and nowhere without one",
    )
    history: str = option(
        "", is_path=True, help="file for what was measured, in the same format as everywhere"
    )
    loggers: str = LOGGERS_KEY.field()
    metrics: str = option(
        "",
        help="port of a page of metrics for Prometheus, on loopback, or `host:port`; none if left "
        "out",
    )
    init_function: str = option(
        "", help="draws the initial model, if the app has no `@app.init()`: `package.module:name`"
    )
    initial_arrays: str = option(
        "", is_path=True, help="a safetensors file to start from, in place of such a function"
    )
    sync_steps: int = option(
        0,
        rule=at_least(0),
        help="steps of max norm synchronization, the graph's diameter at least; 0 is "
        "`num-devices - 1`, which is enough for any connected graph",
    )
    evaluate_every: int = EVALUATE_EVERY.field()
    on_failure: str = option(
        failures.SKIP,
        rule=one_of(*failures.ON_FAILURE),
        help="`skip`: a round in which the app's train function fails is sat out, and one in which "
        "its evaluate function does is not scored, unless training has never worked; `raise` ends "
        "the peer at the first failure",
    )
    start: float = option(
        120.0, rule=_SECONDS, help="seconds to wait for neighbors before the first round"
    )
    linger: float = option(
        30.0, rule=_SECONDS, help="seconds to serve those that are still behind after the last"
    )
    watch: str = option(
        "", help="`host:port`, or a port, of this device's own page, to be read only: how it does"
    )
    watch_token: str = option("", help="what its readers must bring; made where one is needed")
    waiting: Waiting = group(Waiting, table="waiting")
    joining: Joining = group(Joining, table="joining")
    options: Options = group(Options)
    node_config: Mapping[str, Scalar] = option(
        {}, kind=dict, help="what the app's `context.node_config` holds besides"
    )
    run_config: Mapping[str, Scalar] = option(
        {}, kind=dict, help="what the app reads from `context.run_config`"
    )
    train_config: Mapping[str, Scalar] = option(
        {},
        kind=dict,
        help="what train functions find in their message's config, beside the round: the "
        "`train_config` of a strategy's `start`",
    )
    evaluate_config: Mapping[str, Scalar] = option(
        {}, kind=dict, help="the same for evaluate functions"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "neighbors", by_device(self.neighbors))
        errors: list[ConfigError] = []
        for check in (
            self._check_device,
            self._check_places,
            self._check_neighbors,
            self._check_topology,
            self._check_options,
            lambda: check_loggers(self.loggers),
            lambda: check_metrics(self.metrics),
            self.common,  # refuses objects that the file could not have named
            self._check_certificates,
        ):
            try:
                check()
            except ConfigError as error:
                errors.append(error)
        raise_all(errors)

    def _check_device(self) -> None:
        if self.num_devices > _MOST_DEVICES:
            rule = f"must be at most {_MOST_DEVICES}: every device has to know how many there are"
            raise ConfigError("num-devices", self.num_devices, rule)
        if not self._may_be(self.device):
            raise ConfigError("device", self.device, f"must be from 0 to {self.num_devices - 1}")

    def _check_certificates(self) -> None:
        if bool(self.certificates) == self.insecure:
            rule = "name the folder that `p2pl-flower certs` made, or ask for insecure = true"
            raise ConfigError("certificates", self.certificates, rule)

    @classmethod
    def load(cls, path: Path, changes: Iterable[str] = ()) -> Settings:
        """Read a file, with ``key=value`` changes; paths in it are relative to its folder."""
        return cls.of(change(read_toml("settings", path), changes), path.parent)

    @classmethod
    def of(cls, values: Mapping[str, Any], folder: Path = Path()) -> Settings:
        """Make settings from the keys of a file; objects are found in the working folder, too."""
        look_here()
        paths = {key for key, known in keys(cls).items() if known.is_path}
        placed = {
            key: str(folder / value) if key in paths and value and isinstance(value, str) else value
            for key, value in values.items()
        }
        return build(cls, placed)

    @property
    def model_file(self) -> Path | None:
        """Where the trained model is written to; None for nowhere."""
        beside = Path(self.checkpoint) / model_file.FILE if self.checkpoint else None
        return Path(self.model) if self.model else beside

    @cached_property
    def schedule(self) -> Schedule | None:
        """The graph of every consensus step; None where all neighbors are linked in each."""
        if not self.topology:
            return None
        return schedule(self.topology, self.num_devices, self.options.seed)

    def _may_be(self, device: int) -> bool:
        """Tell whether there can be a device of this id: of any, where devices may join."""
        return device >= 0 and (device < self.num_devices or self.joining.links > 0)

    @property
    def most_neighbors(self) -> int:
        """How many neighbors the device may have at the same time."""
        return max(len(self.neighbors), self.joining.most_links)

    @property
    def links_change(self) -> bool:
        """Whether a device asks some neighbors in some steps only."""
        return self.schedule is not None or self.options.to_config()["links"] != "perfect"

    @property
    def tunneled(self) -> bool:
        """Whether some link may have an end that nobody can dial, or others come here for more."""
        ends = self.listen, *self.neighbors.values()
        others = self.serve_rendezvous or bool(self.authority) or self.joining.links > 0
        return DIAL_OUT in ends or others

    @property
    def synchronization_steps(self) -> int:
        """The steps of max norm synchronization that the device makes."""
        return self.sync_steps or self.num_devices - 1

    def common(self) -> dict[str, Scalar]:
        """Return what must be the same on all devices of a run."""
        shared: dict[str, Scalar] = {"num-devices": self.num_devices, "rounds": self.rounds}
        shared |= {"topology": self.topology} if self.topology else {}
        shared |= {"joining": True} if self.joining.links else {}
        return {**shared, **{key_of(k): v for k, v in self.options.to_config().items()}}

    def _check_places(self) -> None:
        """Refuse what cannot be listened at, and what others cannot be told."""
        check_address("listen", self.listen, least_port=0)
        if self.rendezvous:
            check_address("rendezvous", self.rendezvous, may_dial_out=False)
        if self.address:
            check_address("address", self.address)
        for key in ("serve-rendezvous", "authority"):
            if getattr(self, name_of(key)) and self.listen == DIAL_OUT:
                rule = "is for devices that can be dialed: listen at host:port"
                raise ConfigError(key, getattr(self, name_of(key)), rule)
        if self.joining.links and not self.address and is_everywhere(self.listen):
            rule = "must say host:port as others reach this device, since it listens everywhere"
            raise ConfigError("address", "", rule)
        if self.authority and not (self.joining.links and self.certificates):
            rule = "lets devices in: that takes certificates, and joining.links above 0"
            raise ConfigError("authority", self.authority, rule)

    def _check_neighbors(self) -> None:
        if not self.neighbors and not self.joining.links:
            raise ConfigError("neighbors", {}, "must name at least one device and its address")
        for device, address in self.neighbors.items():
            if device == self.device or not self._may_be(device):
                rule = f"must be the id of another device, 0 to {self.num_devices - 1}"
                raise ConfigError(f"neighbors.{device}", address, rule)
            check_address(f"neighbors.{device}", address)
            if address == self.listen == DIAL_OUT and not self.rendezvous:
                rule = "neither end of this link can be dialed: name a rendezvous for both"
                raise ConfigError(f"neighbors.{device}", address, rule)

    def _check_topology(self) -> None:
        """Refuse a schedule with links to devices whose addresses are not known."""
        if self.schedule is None:
            return
        if self.joining.links:
            rule = "names all devices, and devices may join: leave one of topology and joining out"
            raise ConfigError("topology", self.topology, rule)
        check_direction(self.options, self.schedule)
        linked = self.schedule.ever(self.rounds, max(self.options.consensus_steps, 1))
        if lacking := sorted(set(linked[self.device]) - set(self.neighbors)):
            listed = ", ".join(map(str, lacking[:8])) + (", ..." if len(lacking) > 8 else "")
            rule = f"links device {self.device} to devices that neighbors lacks: {listed}; list all"
            raise ConfigError("topology", self.topology, rule)

    def _check_mode(self) -> None:
        check_asynchronous(self.options)
        told = self.schedule is not None or self.options.tells_heard
        if self.options.mode == "async" and (told or self.options.needs_samples):
            rule = "needs neighbors that stay, and weights that follow from their number: take "
            raise ConfigError("mode", "async", rule + "'metropolis' or 'uniform', no schedule")

    def _check_options(self) -> None:
        """Refuse what takes a server that knows all devices."""
        if self.options.matrix is not None:
            rule = "a device knows its neighbors alone: name a rule by which it weighs them"
            raise ConfigError("weights", "matrix", rule)
        self._check_mode()
        if self.options.init == "shared":
            rule = "there is no server to hand out a common start: use max-norm, or give all "
            rule += "devices the same initial-arrays"
            raise ConfigError("init", "shared", rule)
        if self.joining.links and self.options.algorithm.knows_place:
            rule = (
                "must know how many devices there are, and devices may join: take 'push-sum', say"
            )
            raise ConfigError("algorithm", self.options.to_config()["algorithm"], rule)
