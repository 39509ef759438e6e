"""Claims: each a scenario, what is varied in it, and what must come out for it to hold."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from p2pl_flower.errors import ConfigError
from strategies import contender

from ..compare import ENGINES
from ..scenario import FOLDER, Scenario

CLAIMS = FOLDER / "paper"

_SWARM = "swarm"


@dataclass(frozen=True)
class Variant:
    """One contender on one engine, with some of the scenario's keys set otherwise."""

    contender: str
    engine: str = _SWARM
    settings: Mapping[str, Any] = field(default_factory=dict)

    def value(self, key: str) -> Any:
        """Return what ``key`` is in this variant, or None where it is as in the scenario."""
        own = {"contender": self.contender, "engine": self.engine}
        return own[key] if key in own else self.settings.get(key)

    def __str__(self) -> str:
        engine = [] if self.engine == _SWARM else [f"on {self.engine}"]
        settings = [f"{key} {value}" for key, value in self.settings.items()]
        return ", ".join([" ".join([self.contender, *engine]), *settings])


@dataclass(frozen=True)
class Test:
    """When the claim holds: how near the judged variants must come to a reference.

    Attributes
    ----------
    mean, worst : float
        By how many points of accuracy the devices' mean, and the worst device, may be below
        the reference's mean.
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
    """

    mean: float
    worst: float
    reference: Mapping[str, Any] = field(default_factory=lambda: {"contender": "fedavg"})
    same: tuple[str, ...] = ()
    judged: Mapping[str, Sequence[Any]] = field(default_factory=lambda: {"contender": ["p2pl"]})
    cases: tuple[str, ...] = ()

    def judges(self, variant: Variant) -> bool:
        """Tell whether a variant is one of those that must come near the reference."""
        return all(variant.value(key) in allowed for key, allowed in self.judged.items())

    def compares(self, variant: Variant, with_: Variant) -> bool:
        """Tell whether ``with_`` is the reference of ``variant``."""
        singled_out = all(with_.value(key) == value for key, value in self.reference.items())
        return singled_out and all(with_.value(key) == variant.value(key) for key in self.same)


@dataclass(frozen=True)
class Claim:
    """An experiment.

    Attributes
    ----------
    name, title, text : str
        The file's name, a heading, and the claim in a sentence or two.
    base : Mapping[str, Any]
        The scenario's keys.
    variants : tuple[Variant, ...]
        What is run, in order.
    test : Test
        When the claim holds.
    reach : float
        An accuracy; the rounds that it takes to reach it are shown.
    columns, figures : tuple[str, ...]
        What else the page shows: names in `facts.FACTS` and `figures.FIGURES`.
    """

    name: str
    title: str
    text: str
    base: Mapping[str, Any]
    variants: tuple[Variant, ...]
    test: Test
    reach: float
    columns: tuple[str, ...] = ()
    figures: tuple[str, ...] = ("spread",)

    @classmethod
    def load(cls, path: Path) -> Claim:
        """Read a claim from its file.

        Raises
        ------
        ConfigError
            A key is missing or unknown, or a variant's scenario is not valid.
        """
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        try:
            made = cls(
                path.stem,
                base=content.pop("scenario"),
                variants=tuple(_variants(content.pop("vary"))),
                test=Test(**_tuples(content.pop("test"))),
                **_tuples(content),
            )
        except (KeyError, TypeError) as error:
            raise ConfigError(
                "claim", path.stem, f"has a missing or unknown key: {error}"
            ) from None
        for variant in made.variants:
            made.scenario(variant, seed=0)
        return made

    @property
    def keys(self) -> list[str]:
        """All keys that are varied, in the order in which they first appear."""
        return list(dict.fromkeys(key for v in self.variants for key in v.settings))

    def scenario(self, variant: Variant, seed: int) -> Scenario:
        """Return the scenario of one variant's run."""
        if variant.engine not in ENGINES:
            raise ConfigError("engine", variant.engine, "unknown name", ENGINES)
        contender(variant.contender)
        keys = {"contenders": variant.contender, "seed": seed}
        return Scenario.of({**self.base, **variant.settings, **keys})


def claims(only: Sequence[str] = ()) -> list[Claim]:
    """Return the claims, or those named, in the order of their files' names.

    Raises
    ------
    ConfigError
        There is none of a name, or its file is not valid.
    """
    found = {path.stem: path for path in sorted(CLAIMS.glob("*.toml"))}
    for name in only:
        if name not in found:
            raise ConfigError("only", name, "unknown claim", found)
    return [Claim.load(path) for name, path in found.items() if not only or name in only]


def _variants(tables: Sequence[Mapping[str, Any]]) -> Iterator[Variant]:
    """Yield every combination of the values in each table, the last key running fastest."""
    for table in tables:
        lists = [value if isinstance(value, list) else [value] for value in table.values()]
        for values in product(*lists):
            settings = dict(zip(table, values, strict=True))
            named = {f.name: settings.pop(f.name) for f in _OWN if f.name in settings}
            yield Variant(**named, settings=settings)


_OWN = [f for f in dataclasses.fields(Variant) if f.name != "settings"]


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
