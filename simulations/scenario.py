"""A scenario: the flat keys of a TOML file or of Flower's run config, checked once."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from p2pl_flower.errors import ConfigError, WeightsError
from p2pl_flower.options import Options
from p2pl_flower.swarm import PRECISIONS, TrainOptions
from p2pl_flower.topology import schedule
from p2pl_flower.weights import check_matrix
from strategies import Contender, contender

from . import models
from .datasets import DATASETS
from .partition import SCHEMES

FOLDER = Path(__file__).parent / "scenarios"

_MATRIX_FILE = "file:"
_DEVICES = ("cpu", "cuda")
_BETWEEN = re.compile(r",(?!\s*[\w-]+=)")
"""A comma between contenders, not between the parameters of one."""


@dataclass(frozen=True)
class Scenario:
    """What is trained on what, by whom, and for how long.

    The attributes are the keys of a scenario file, with ``-`` for ``_``.

    Raises
    ------
    ConfigError
        Names the key, its value, the rule and the valid choices.
    """

    contenders: str = "p2pl,fedavg,centralized"
    dataset: str = "digits"
    data_dir: str = ""
    partition: str = "iid"
    num_devices: int = 100
    model: str = "mlp"
    topology: str = "erdos-renyi:p=0.1"
    algorithm: str = "p2pl"
    weights: str = "metropolis"
    consensus_steps: int = 1
    consensus_gamma: float = 1.0
    init: str = "auto"
    max_norm_scope: str = "model"
    shared: str = "*"
    links: str = "perfect"
    on_missing: str = "self"
    fraction_train: float = 1.0
    rounds: int = 20
    local_epochs: int = 1
    batch_size: int = 10
    learning_rate: float = 0.05
    learning_rate_decay: float = 1.0
    momentum: float = 0.5
    evaluate_every: int = 5
    evaluate_trained: bool = True
    evaluate_precision: str = "float32"
    seed: int = 0
    torch_device: str = "cpu"

    def __post_init__(self) -> None:
        """Check every key for itself, and those that must fit each other."""
        for name, least in (("num_devices", 0), ("rounds", 1), ("evaluate_every", 1)):
            if getattr(self, name) < least:
                raise ConfigError(_key(name), getattr(self, name), f"must be at least {least}")
        for name, choices in (
            ("dataset", DATASETS),
            ("model", models.MODELS),
            ("torch_device", _DEVICES),
            ("evaluate_precision", PRECISIONS),
        ):
            if getattr(self, name) not in choices:
                raise ConfigError(_key(name), getattr(self, name), "unknown name", choices)
        if self.torch_device == "cuda" and not torch.cuda.is_available():
            rule = "no CUDA device is available"
            raise ConfigError("torch-device", self.torch_device, rule, ["cpu"])
        if not 0 < self.fraction_train <= 1:
            raise ConfigError("fraction-train", self.fraction_train, "must be in (0, 1]")
        models.check(self.model, self.dataset)
        SCHEMES.make(self.partition)
        self.train_options()
        self.named_contenders()
        self._check_graph()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Scenario:
        """Make a scenario from flat keys; those that are missing have their defaults."""
        types = {_key(f.name): type(f.default) for f in dataclasses.fields(cls)}
        for key in values:
            if key not in types:
                raise ConfigError(key, values[key], "unknown key", sorted(types))
        return cls(**{_name(key): _typed(key, value, types[key]) for key, value in values.items()})

    @classmethod
    def of_run(cls, run_config: Mapping[str, Any]) -> Scenario:
        """Read Flower's run config, where ``strategy`` stands for the one contender."""
        rest = {key: value for key, value in run_config.items() if key != "strategy"}
        return cls.of({**rest, "contenders": run_config.get("strategy", "p2pl")})

    @classmethod
    def load(cls, name_or_path: str, changes: Mapping[str, Any] | None = None) -> Scenario:
        """Read a scenario file, given by its path or by its name among our own."""
        path = Path(name_or_path)
        if not path.suffix:
            path = FOLDER / f"{name_or_path}.toml"
        if not path.is_file():
            known = sorted(p.stem for p in FOLDER.glob("*.toml"))
            rule = "must be a TOML file or the name of a scenario"
            raise ConfigError("scenario", name_or_path, rule, known)
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError("scenario", name_or_path, f"is not valid TOML: {error}") from None
        return cls.of({**values, **(changes or {})})

    def keys(self) -> dict[str, str | int | float]:
        """Return the scenario as flat keys."""
        return {_key(name): value for name, value in dataclasses.asdict(self).items()}

    def named_contenders(self) -> list[Contender]:
        """Return the contenders, in the order in which they run."""
        names = [name.strip() for name in _BETWEEN.split(self.contenders) if name.strip()]
        if not names:
            raise ConfigError("contenders", self.contenders, "must name at least one")
        return [contender(name) for name in names]

    def train_options(self) -> TrainOptions:
        """Return the options of local training."""
        return TrainOptions(
            local_epochs=self.local_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            learning_rate_decay=self.learning_rate_decay,
            momentum=self.momentum,
        )

    def peer_options(self) -> dict[str, Any]:
        """Return the keyword options of P2PL."""
        return {
            "algorithm": self.algorithm,
            "weights": self._weights(),
            "consensus_steps": self.consensus_steps,
            "consensus_gamma": self.consensus_gamma,
            "init": self.init,
            "max_norm_scope": self.max_norm_scope,
            "shared": self.shared,
            "links": self.links,
            "on_missing": self.on_missing,
        }

    def _check_graph(self) -> None:
        try:
            options = Options.of(**self.peer_options(), seed=self.seed)
            if self.num_devices:
                graphs = schedule(self.topology, self.num_devices, self.seed)
                static = graphs.graph(1) if graphs.static else None
                if options.matrix is not None:
                    check_matrix(options.matrix, static, n=self.num_devices)
        except WeightsError as error:
            raise WeightsError("weights", self.weights, error.rule) from None

    def _weights(self) -> Any:
        if not self.weights.startswith(_MATRIX_FILE):
            return self.weights
        path = Path(self.weights.removeprefix(_MATRIX_FILE))
        try:
            return np.loadtxt(path, delimiter=",", ndmin=2)
        except (OSError, ValueError) as error:
            rule = f"must name a file of comma-separated rows of numbers ({error})"
            raise ConfigError("weights", self.weights, rule) from None


def _key(name: str) -> str:
    return name.replace("_", "-")


def _name(key: str) -> str:
    return key.replace("-", "_")


def _typed(key: str, value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ConfigError(key, value, f"must be of type {kind.__name__}")
    return value
