"""The options of the algorithm: checked once, when they are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .algorithms import Algorithm, make_algorithm
from .algorithms.p2pl import P2PL
from .errors import ConfigError
from .links import Links, Perfect, make_links
from .sharing import Sharing
from .weights import MISSING_POLICIES, WEIGHTS, Custom, Metropolis, WeightRule, check_matrix

INITS = ("max-norm", "shared", "independent")
ALGORITHMS_OWN = "auto"
"""Init that stands for the algorithm's own."""

SCOPES = ("model", "tensor")


@dataclass(frozen=True)
class Options:
    """What devices do in a round, and before the first.

    Attributes
    ----------
    algorithm : Algorithm
        What devices train from, send, and make of what arrives: see `p2pl_flower.algorithms`.
    weights : WeightRule
        How a device weighs its neighbors.
    matrix : NDArray[float64] of shape (K, K), or None
        A user's own mixing matrix, of which each device is told its row.
    consensus_steps : int
        S, steps of averaging with neighbors in each round; 0 means that devices never
        communicate.
    consensus_gamma : float
        Step size of each consensus step, in (0, 1].
    init : str
        ``max-norm``: every device draws its own model, and the one with the largest norm
        is flooded. ``shared``: all start from the strategy's ``initial_arrays``.
        ``independent``: every device keeps what it has drawn. ``auto``: the algorithm's own,
        which is ``max-norm`` for P2PL.
    max_norm_scope : str
        ``model``: one winner for all arrays; ``tensor``: one for each.
    links : Links
        Which links are up when.
    on_missing : str
        Where the weight of a neighbor that did not answer goes: to the device itself
        (``self``, keeps symmetric losses doubly stochastic) or to those that answered
        (``neighbors``).
    shared : Sharing
        Which arrays are mixed, synchronized and shown to neighbors; the others are the
        device's own.
    seed : int
        Seed of everything that is drawn.
    """

    algorithm: Algorithm = field(default_factory=P2PL)
    weights: WeightRule = field(default_factory=Metropolis)
    matrix: NDArray[np.float64] | None = None
    consensus_steps: int = 1
    consensus_gamma: float = 1.0
    init: str = ALGORITHMS_OWN
    max_norm_scope: str = "model"
    links: Links = field(default_factory=Perfect)
    on_missing: str = "self"
    shared: Sharing = field(default_factory=Sharing)
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what can be checked without the number of devices."""
        _require_int("consensus-steps", self.consensus_steps, least=0)
        _require_int("seed", self.seed, least=0)
        if not 0 < self.consensus_gamma <= 1:
            raise ConfigError("consensus-gamma", self.consensus_gamma, "must be in (0, 1]")
        if self.init == ALGORITHMS_OWN:
            object.__setattr__(self, "init", self.algorithm.init)
        for name, value, choices in (
            ("init", self.init, INITS),
            ("max-norm-scope", self.max_norm_scope, SCOPES),
            ("on-missing", self.on_missing, MISSING_POLICIES),
        ):
            if value not in choices:
                raise ConfigError(name, value, "unknown name", choices)

    @classmethod
    def of(
        cls,
        *,
        algorithm: str | Algorithm = "p2pl",
        weights: str | WeightRule | ArrayLike = "metropolis",
        links: str | Links = "perfect",
        shared: str | Iterable[str] | Sharing = "*",
        seed: int = 0,
        **rest: Any,
    ) -> Options:
        """Make options from what users write: names, objects or a matrix.

        Raises
        ------
        ConfigError
            Names the option, its value, the rule and the valid choices.
        """
        _require_int("seed", seed, least=0)
        rule, matrix = _weights(weights)
        made = make_links(links, seed)
        sharing = Sharing.of(shared)
        return cls(
            algorithm=make_algorithm(algorithm),
            weights=rule,
            matrix=matrix,
            links=made,
            shared=sharing,
            seed=seed,
            **rest,
        )

    def to_config(self) -> dict[str, str | int | float]:
        """Return the options as flat values that fit into a message to a device."""
        flat = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "matrix"}
        texts = {"links": self.links.spec(), "shared": self.shared.spec()}
        return {**flat, "algorithm": self.algorithm.spec(), "weights": self.weights.name, **texts}

    @classmethod
    def from_config(cls, flat: dict[str, Any]) -> Options:
        """Rebuild what `to_config` made; ``matrix`` stays behind."""
        return cls.of(**{f.name: flat[f.name] for f in fields(cls) if f.name != "matrix"})


def _weights(given: str | WeightRule | ArrayLike) -> tuple[WeightRule, Any]:
    if isinstance(given, WeightRule):
        return given, None
    if isinstance(given, str):  # `custom` is what a matrix travels to the devices as
        return (Custom() if given == Custom.name else WEIGHTS.make(given)), None
    matrix = np.asarray(given, dtype=np.float64)
    check_matrix(matrix)
    return Custom(), matrix


def _require_int(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(name, value, f"must be an integer of at least {least}")
