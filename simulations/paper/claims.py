"""Claims: each a scenario, what is varied in it, and what must come out for it to hold."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2pl_flower.errors import ConfigError
from strategies import contender

from ..compare import ENGINES
from ..scenario import FOLDER, Scenario
from ..sweep import combinations
from .rule import Test, Tuning, Variant

CLAIMS = FOLDER / "paper"


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
    tests : tuple[Test, ...]
        When the claim holds: all of them must. The first one's cases are the figures' panels.
    reach : float or Mapping[str, float]
        An accuracy; the rounds that it takes to reach it are shown. Or one for each dataset.
    tune : Tuning or None
        How the variants' own settings are chosen first.
    columns, figures : tuple[str, ...]
        What else the page shows: names in `facts.FACTS` and `figures.FIGURES`.
    """

    name: str
    title: str
    text: str
    base: Mapping[str, Any]
    variants: tuple[Variant, ...]
    tests: tuple[Test, ...]
    reach: float | Mapping[str, float]
    tune: Tuning | None = None
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
                tests=tuple(_tests(content.pop("test"))),
                tune=Tuning(**content.pop("tune")) if "tune" in content else None,
                **_tuples(content),
            )
        except (KeyError, TypeError) as error:
            raise ConfigError(
                "claim", path.stem, f"has a missing or unknown key: {error}"
            ) from None
        for variant in made.variants:
            made.level(variant)
            made.scenario(variant, seed=0)
            if made.tune is not None:
                for point in made.tune.points(variant):
                    made.scenario(made.tune.trial(variant, point), seed=0)
        return made

    @property
    def test(self) -> Test:
        """The first of the tests."""
        return self.tests[0]

    @property
    def keys(self) -> list[str]:
        """All keys that are varied, in the order in which they first appear."""
        return list(dict.fromkeys(key for v in self.variants for key in v.settings))

    def level(self, variant: Variant) -> float:
        """Return the accuracy to which a variant's rounds are counted."""
        if not isinstance(self.reach, Mapping):
            return self.reach
        dataset = str(variant.value("dataset") or self.base.get("dataset"))
        if dataset not in self.reach:
            raise ConfigError("reach", dict(self.reach), f"has no level for {dataset}")
        return self.reach[dataset]

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


def _tests(found: Any) -> list[Test]:
    tables = found if isinstance(found, list) else [found]
    return [Test(**_tuples(table)) for table in tables]


def _variants(tables: Sequence[Mapping[str, Any]]) -> Iterator[Variant]:
    for settings in combinations(tables):
        named = {f.name: settings.pop(f.name) for f in _OWN if f.name in settings}
        yield Variant(**named, settings=settings)


_OWN = [f for f in dataclasses.fields(Variant) if f.name != "settings"]


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
