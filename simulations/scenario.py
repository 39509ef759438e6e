"""A scenario: the flat keys of a TOML file or of Flower's run config, checked once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from p2pl_flower.config import (
    Scalar,
    at_least,
    build,
    check_fields,
    declared,
    described,
    group,
    keys,
    name_of,
    one_of,
    option,
    read_toml,
    typed,
    within,
)
from p2pl_flower.errors import ConfigError, WeightsError
from p2pl_flower.options import (
    EVALUATE_EVERY,
    EVALUATE_TRAINED,
    FRACTION_EVALUATE,
    LOGGERS_KEY,
    NUM_DEVICES,
    ROUNDS,
    TOPOLOGY,
    Clock,
    Options,
    check_loggers,
)
from p2pl_flower.relay import make_relay
from p2pl_flower.swarm.losses import of_classes
from p2pl_flower.swarm.metrics import check_metrics
from p2pl_flower.swarm.options import EVALUATE_PRECISION, TORCH_DEVICE, TrainOptions
from p2pl_flower.topology import schedule
from p2pl_flower.weights import check_matrix
from strategies import Contender, contender
from strategies.base import PeerToPeer

from . import models
from .attacks import ATTACKS, Attack, NoAttack
from .partition import SCHEMES

FOLDER = Path(__file__).parent / "scenarios"

_BETWEEN = re.compile(r",(?!\s*[\w-]+=)")
"""A comma between contenders, not between the parameters of one."""


@described
@dataclass(frozen=True)
class Scenario:
    """What is trained on what, by whom, and for how long.

    Its keys are these, and those of its ``options`` and its ``training``, which ``flat`` has as
    they were given. Another scenario is made by `of`, from changed `keys`.

    Raises
    ------
    ConfigError
        Names the key, its value, the rule and the valid choices.
    """

    contenders: str = option(
        "p2pl,fedavg,centralized",
        help="who is compared: `p2pl` (by the scenario's `algorithm`), `dsgd` (no "
        "synchronization), `fedavg` (Flower's own), `centralized`, `local` (no communication), one "
        "file each in `strategies/`; or an algorithm by its text: `exact-diffusion`",
    )
    dataset: str = option(
        "digits", help="what is learned: `digits`, `mnist`, `fashion-mnist`, `cifar10`"
    )
    data_dir: str = option("", help="a folder with the data, in torchvision's layout")
    partition: str = option(
        "iid",
        help="who has which samples: `iid`, `linear` (unequal shares), `dirichlet:0.3`, "
        "`pathological:2`, `shards:2` (flwr-datasets' partitioners)",
    )
    validation: float = option(
        0.0,
        rule=within("[0, 1)"),
        help="share of each device's training samples that is held out and scored on in place of "
        "the test set, to choose settings by",
    )
    num_devices: int = NUM_DEVICES.field(
        100, rule=at_least(0), help="K, how many devices; by `flwr run`, 0 is all SuperNodes"
    )
    model: str = option(
        "mlp",
        help="`mlp` (two hidden layers of 200), `cnn`, `resnet20` (with group normalization), "
        "`logistic`",
    )
    topology: str = TOPOLOGY.field("erdos-renyi:p=0.1")
    options: Options = group(Options)
    attack: str = option(
        "none",
        help="what hostile devices do, which are never scored: `sign-flip:fraction=0.1,scale=1`, "
        "`scaling:scale=10`, `noise:deviation=1`, `nan`, `replay`, `same-model`, `label-flip`, "
        "`large-norm:scale=100` (claims the start); in the swarm also `alie:tau=1.5` and "
        "`inner-product:tau=2` (ByzFL's), `dissensus:epsilon=1`",
    )
    fraction_train: float = option(
        1.0, rule=within("(0, 1]"), help="share of the devices that FedAvg picks in each round"
    )
    server_gone_from: int = option(
        0, rule=at_least(0), help="first round in which FedAvg's server is gone; 0 is never"
    )
    server_gone_rounds: int = option(
        0, rule=at_least(0), help="for how many rounds it is: in them nobody is told to train"
    )
    clock: Clock = group(Clock)
    rounds: int = ROUNDS.field(20)
    training: TrainOptions = group(TrainOptions)
    evaluate_every: int = EVALUATE_EVERY.field(
        5, rule=at_least(1), help="all models are scored in every n-th round, and in the last"
    )
    evaluate_trained: bool = EVALUATE_TRAINED.field()
    evaluate_precision: str = EVALUATE_PRECISION.field()
    fraction_evaluate: float = FRACTION_EVALUATE.field()
    max_test_samples: int = option(
        0,
        rule=at_least(0),
        help="test samples on which models are scored, drawn once, the same for all; 0 is all",
    )
    metrics: str = option(
        "",
        help="what is measured beside loss and accuracy: `top-k:k=3`, `perplexity`, or the path of "
        "a function of outputs and targets; several are joined by `+`",
    )
    relay: str = option(
        "auto",
        help="how models move in Flower's engine: `file` (on one machine), `ray` (on a Ray "
        "cluster), `auto` (`ray` where that has several nodes, else `file`), `grpc` (machine to "
        "machine)",
    )
    loggers: str = LOGGERS_KEY.field()
    torch_device: str = TORCH_DEVICE.field(rule=one_of("cpu", "cuda"), help="what PyTorch runs on")
    flat: Mapping[str, Scalar] = field(kw_only=True, repr=False)

    def __post_init__(self) -> None:
        """Check every key for itself, and those that must fit each other."""
        check_fields(self)
        if self.torch_device == "cuda" and not torch.cuda.is_available():
            rule = "no CUDA device is available"
            raise ConfigError("torch-device", self.torch_device, rule, ["cpu"])
        models.check(self.model, self.dataset, self.data_dir)
        if not of_classes(self.training.loss):
            rule = "must be cross-entropy: the datasets of scenarios have classes as targets"
            raise ConfigError("loss", self.training.loss, rule)
        check_metrics(self.metrics, self.training.loss, torch.zeros(1, 2), torch.zeros(1).long())
        SCHEMES.make(self.partition)
        if self.validation and not self.num_devices:
            rule = "needs num-devices: what is held out depends on who has which samples"
            raise ConfigError("validation", self.validation, rule)
        make_relay(self.relay)
        self.named_contenders()
        self._check_attack()
        check_loggers(self.loggers)
        self._check_graph()

    @classmethod
    def of(cls, values: Mapping[str, Any] | None = None) -> Scenario:
        """Make a scenario from flat keys; those that are missing have their defaults."""
        flat = {key: known.default for key, known in keys(cls).items()}
        flat |= typed(cls, values or {})
        return build(cls, flat, flat=flat)

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
        return cls.of({**read_toml("scenario", path), **(changes or {})})

    @property
    def seed(self) -> int:
        """The seed of everything."""
        return self.options.seed

    @property
    def attacking(self) -> Attack:
        """What hostile devices do."""
        return ATTACKS.make(self.attack)

    def keys(self) -> dict[str, Scalar]:
        """Return the scenario as flat keys, those of its groups as they were given."""
        own = {known.name: getattr(self, name) for name, known in declared(type(self)).items()}
        return {**self.flat, **own}

    def named_contenders(self) -> list[Contender]:
        """Return the contenders, in the order in which they run."""
        names = [name.strip() for name in _BETWEEN.split(self.contenders) if name.strip()]
        if not names:
            raise ConfigError("contenders", self.contenders, "must name at least one")
        return [contender(name) for name in names]

    def train_options(self) -> TrainOptions:
        """Return the options of local training."""
        return self.training

    @property
    def server_gone(self) -> range:
        """The rounds in which the server is gone, where there is one."""
        first = self.server_gone_from
        return range(first, first + self.server_gone_rounds) if first else range(0)

    def run_clock(self) -> Clock:
        """Return what simulated time is counted by, with rates and speeds of the run's seed."""
        given = {name_of(key): self.flat[key] for key in keys(Clock)}
        return Clock(**given, epochs=self.training.local_epochs, seed=self.seed)  # type: ignore[arg-type]

    def peer_options(self) -> dict[str, Any]:
        """Return the keyword options of P2PL."""
        return {name_of(key): self.flat[key] for key in keys(Options) if key != "seed"}

    def _check_attack(self) -> None:
        """Refuse an attack that nobody makes."""
        attack = self.attacking
        nobody = not attack.attackers(self.seed, self.num_devices or 100)
        if nobody and not isinstance(attack, NoAttack):
            rule = f"fraction={attack.fraction}: is nobody among {self.num_devices} devices"
            raise ConfigError("attack", self.attack, rule)
        coded = [c.name for c in self.named_contenders() if self._encodes(c)]
        if attack.lies and coded:
            rule = f"lies are sent as they are, and {coded[0]} has a codec: leave out either"
            raise ConfigError("attack", self.attack, rule)

    def _encodes(self, named: Contender) -> bool:
        """Return whether a contender's devices send anything else than whole messages."""
        if not isinstance(named, PeerToPeer):
            return False
        return "codec" in named.changes or not self.options.coder.is_exact

    def _check_graph(self) -> None:
        if not self.num_devices:
            return
        graphs = schedule(self.topology, self.num_devices, self.seed)
        static = graphs.graph(1) if graphs.static else None
        try:
            if self.options.matrix is not None:
                check_matrix(self.options.matrix, static, n=self.num_devices)
        except WeightsError as error:
            raise WeightsError("weights", self.flat["weights"], error.rule) from None
