"""The options of the algorithm, and of a run: declared here, checked when they are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .algorithms import ALGORITHMS, Algorithm
from .config import (
    Converted,
    Option,
    at_least,
    check_fields,
    declared,
    described,
    one_of,
    option,
    within,
)
from .errors import ConfigError, WeightsError
from .links import LINKS, LinkFunction, Links
from .sharing import Sharing
from .specs import text_of
from .weights import (
    MISSING_POLICIES,
    WEIGHTS,
    Custom,
    WeightFunction,
    WeightRule,
    check_matrix,
)

ROUNDS = Option("rounds to run", at_least(1), name="rounds", kind=int)
NUM_DEVICES = Option("K, how many devices there are", name="num-devices", kind=int)
TOPOLOGY = Option(
    "who is whose neighbor: `complete`, `ring`, `star`, `path`, `torus`, `regular:d=4`, "
    "`erdos-renyi:p=0.1`, `small-world:k=4,p=0.1`, `scale-free:m=2`, "
    "`random-geometric:radius=0.3`, `exponential`; and graphs that change every round: "
    "`one-peer-exponential`, `random-matchings`, `random-waypoint:radius=0.3,speed=0.05`",
    name="topology",
    kind=str,
)
EVALUATE_EVERY = Option(
    "models are scored in every n-th round, and in the last; 0 is never",
    at_least(0),
    default=1,
    name="evaluate-every",
    kind=int,
)
EVALUATE_TRAINED = Option(
    "whether they are scored after training too, or only after consensus",
    default=True,
    name="evaluate-trained",
    kind=bool,
)

_MATRIX_FILE = "file:"


@described
@dataclass(frozen=True)
class Options:
    """What devices do in a round, and before the first.

    Names, objects and, for ``weights``, a matrix of shape (K, K) are taken alike; a name
    becomes the object that it stands for. ``matrix`` is the matrix, or None.

    Raises
    ------
    ConfigError
        Names the option, its value, the rule and the valid choices.
    """

    algorithm: Converted[Algorithm, str | Algorithm] = option(
        "p2pl",
        converted=True,
        help="what devices train from, send, and make of what arrives: `p2pl`, "
        "`p2pl-affinity:strength=0.5`, `dsgd`, `exact-diffusion`",
    )
    weights: Converted[WeightRule, str | WeightRule | WeightFunction | ArrayLike] = option(
        "metropolis",
        converted=True,
        help="how a device weighs its neighbors: `metropolis` (doubly stochastic), `uniform`, "
        "`data-size` (row-stochastic), `file:matrix.csv` (a matrix of your own)",
    )
    matrix: NDArray[np.float64] | None = None
    consensus_steps: int = option(
        1,
        rule=at_least(0),
        help="S, steps of averaging with neighbors in each round, "
        "w_k += gamma sum_j a_kj (w_j - w_k); with 0 devices never communicate",
    )
    consensus_gamma: float = option(1.0, rule=within("(0, 1]"), help="gamma, their step size")
    init: str = option(
        "auto",
        rule=one_of("max-norm", "shared", "independent", "auto"),
        help="initial models: the largest of those that devices draw is flooded, all start from a "
        "common one, every device keeps what it has drawn, or as is the algorithm's own way",
    )
    max_norm_scope: str = option(
        "model",
        rule=one_of("model", "tensor"),
        help="whether one device's model is flooded, or for each array the largest",
    )
    links: Converted[Links, str | Links | LinkFunction] = option(
        "perfect",
        converted=True,
        help="which links are up when: `perfect`, `periodic:every=5` (every n-th round), "
        "`bernoulli:up=0.5`, `gilbert-elliott:up=0.5,burst=5` (bursts), "
        "`churn:away=0.1,absence=5` (devices that come and go, in rounds); joined by `+`",
    )
    on_missing: str = option(
        "self",
        rule=one_of(*MISSING_POLICIES),
        help="where the weight of a neighbor that did not answer goes: to the device itself, "
        "which keeps symmetric losses doubly stochastic, or to those that answered",
    )
    shared: Converted[Sharing, str | Iterable[str] | Sharing] = option(
        "*",
        converted=True,
        help="globs on array names, such as `*` or `!head.*`: what is mixed, synchronized and "
        "shown to neighbors; the rest is personal to each device",
    )
    seed: int = option(
        0,
        rule=at_least(0),
        help="fixes all that is drawn (initial models, split, batch order, graph, links): two "
        "runs give the same numbers",
    )

    def __post_init__(self) -> None:
        check_fields(self)
        rule, matrix = _weights(self.weights, self.matrix)
        algorithm = ALGORITHMS.of(self.algorithm)
        made: dict[str, Any] = {"algorithm": algorithm, "weights": rule, "matrix": matrix}
        made["init"] = algorithm.init if self.init == "auto" else self.init
        made |= {"links": LINKS.of(self.links, seed=self.seed), "shared": Sharing.of(self.shared)}
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def to_config(self) -> dict[str, str | int | float]:
        """Return the options as flat values that fit into a message to a device.

        Raises
        ------
        ConfigError
            An object is one that a device could not make again: names the option, the object
            and what to do.
        """
        flat = {name: getattr(self, name) for name in declared(type(self))}
        texts = {
            "algorithm": text_of(self.algorithm, ALGORITHMS),
            "weights": text_of(self.weights, WEIGHTS),
            "links": text_of(self.links, LINKS),
            "shared": self.shared.spec(),
        }
        return {**flat, **texts}

    @classmethod
    def from_config(cls, flat: dict[str, Any]) -> Options:
        """Rebuild what `to_config` made; ``matrix`` stays behind."""
        return cls(**{name: flat[name] for name in declared(cls)})


def _weights(
    given: str | WeightRule | WeightFunction | ArrayLike, matrix: NDArray[np.float64] | None
) -> tuple[WeightRule, NDArray[np.float64] | None]:
    if isinstance(given, str) and given.startswith(_MATRIX_FILE):
        return Custom(), _matrix_file(given)
    if isinstance(given, str | WeightRule) or callable(given):
        return WEIGHTS.of(given), matrix
    return Custom(), check_matrix(given)


def _matrix_file(given: str) -> NDArray[np.float64]:
    try:
        rows = np.loadtxt(Path(given.removeprefix(_MATRIX_FILE)), delimiter=",", ndmin=2)
        return check_matrix(rows)
    except WeightsError as error:
        raise WeightsError("weights", given, error.rule) from None
    except (OSError, ValueError) as error:
        rule = f"must name a file of comma-separated rows of numbers ({error})"
        raise ConfigError("weights", given, rule) from None
