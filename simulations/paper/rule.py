"""When a claim holds: what is judged, beside what, and by how much it may be behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

SWARM = "swarm"


@dataclass(frozen=True)
class Variant:
    """One contender on one engine, with some of the scenario's keys set otherwise.

    Attributes
    ----------
    contender, engine : str
        Who runs, and on what.
    pair : str
        A name that a judged variant has in common with its reference; it changes nothing else.
    settings : Mapping[str, Any]
        The keys that are set otherwise.
    """

    contender: str
    engine: str = SWARM
    pair: str = field(default="", compare=False)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def value(self, key: str) -> Any:
        """Return what ``key`` is in this variant, or None where it is as in the scenario."""
        own = {"contender": self.contender, "engine": self.engine, "pair": self.pair}
        return own[key] if key in own else self.settings.get(key)

    def with_settings(self, more: Mapping[str, Any]) -> Variant:
        """Return the variant with more keys set, or set otherwise."""
        return replace(self, settings={**self.settings, **more})

    def __str__(self) -> str:
        engine = [] if self.engine == SWARM else [f"on {self.engine}"]
        settings = [f"{key} {value}" for key, value in self.settings.items()]
        return ", ".join([" ".join([self.contender, *engine]), *settings])


@dataclass(frozen=True)
class Test:
    """When the claim holds: how near the judged variants must come to a reference.

    A tolerance that is None is not asked for.

    Attributes
    ----------
    mean, worst : float or None
        By how many points of accuracy the devices' mean may be below the reference's, and the
        worst device below the reference's worst device.
    rounds : float or None
        How many rounds later than the reference the claim's level may be reached; -1 is at
        least one round sooner.
    swing : float or None
        By how many points accuracy may swing more than the reference's between training and
        consensus: see `measured.swing`.
    reference : Mapping[str, Any]
        Keys that single out the variant to compare with, ``contender`` and ``engine`` among
        them.
    same : tuple[str, ...]
        Keys in which the reference must agree with the variant that is judged.
    judged : Mapping[str, Sequence[Any]]
        Which variants are judged: the values allowed for a key.
    cases : tuple[str, ...]
        Keys that make a case. The other keys of a judged variant are means to make it hold;
        the first variant of a case is the case as it stands.
    text : str
        What is judged, for the page; needed where a claim has several tests.
    """

    mean: float | None = None
    worst: float | None = None
    rounds: float | None = None
    swing: float | None = None
    reference: Mapping[str, Any] = field(default_factory=lambda: {"contender": "fedavg"})
    same: tuple[str, ...] = ()
    judged: Mapping[str, Sequence[Any]] = field(default_factory=lambda: {"contender": ["p2pl"]})
    cases: tuple[str, ...] = ()
    text: str = ""

    def __post_init__(self) -> None:
        if not self.tolerances:
            raise TypeError("a test needs mean, worst, rounds or swing")

    @property
    def tolerances(self) -> dict[str, float]:
        """What is asked for, by measure."""
        found = {
            "mean": self.mean,
            "worst device": self.worst,
            "rounds": self.rounds,
            "swing": self.swing,
        }
        return {measure: value for measure, value in found.items() if value is not None}

    def judges(self, variant: Variant) -> bool:
        """Tell whether a variant is one of those that must come near the reference."""
        return all(variant.value(key) in allowed for key, allowed in self.judged.items())

    def compares(self, variant: Variant, with_: Variant) -> bool:
        """Tell whether ``with_`` is the reference of ``variant``."""
        singled_out = all(with_.value(key) == value for key, value in self.reference.items())
        return singled_out and all(with_.value(key) == variant.value(key) for key in self.same)


@dataclass(frozen=True)
class Tuning:
    """How each variant's own settings are chosen before it is run: on a validation part.

    Attributes
    ----------
    grid : Mapping[str, Sequence[Any]]
        The values of each key that are tried, in every combination; a variant that sets one of
        the keys itself has no choice in it.
    validation : float
        Share of each device's training samples that is held out and scored on. The test set has
        no part in the choice.
    rounds : int
        Rounds of a tuning run, which may be fewer than those of the run itself; a variant with a
        number of its own that is smaller has that.
    seeds : int
        Seeds 0, 1, ... that the scores are the mean of.
    """

    grid: Mapping[str, Sequence[Any]]
    validation: float
    rounds: int
    seeds: int = 1

    def points(self, variant: Variant) -> list[dict[str, Any]]:
        """Return the settings that are tried for a variant, the last key running fastest."""
        free = {key: values for key, values in self.grid.items() if key not in variant.settings}
        return [dict(zip(free, values, strict=True)) for values in product(*free.values())]

    def trial(self, variant: Variant, point: Mapping[str, Any]) -> Variant:
        """Return the variant of a tuning run: scored in its last round, on the validation part."""
        rounds = min(self.rounds, variant.settings.get("rounds", self.rounds))
        how = {
            "validation": self.validation,
            "rounds": rounds,
            "evaluate-every": rounds,
            "evaluate-trained": False,
        }
        return variant.with_settings({**point, **how})
