"""Which arrays of a model are mixed with neighbors', and which stay at home.

Layers that stay at home are personal to a device, as in FedPer: it trains them with the
rest, but neighbors never see them, and nothing averages them.

References
----------
.. [1] Arivazhagan et al., "Federated Learning with Personalization Layers", arXiv 1912.00818.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from numpy.typing import NDArray

from .errors import ConfigError, LayoutError
from .named_arrays import Model, layout, mixed_part

_NOT = "!"


@dataclass(frozen=True)
class Sharing:
    """Globs on array names: an array is shared if one matches and none with ``!`` does.

    Parameters
    ----------
    patterns : tuple[str, ...]
        Shell globs (``*``, ``?``, ``[...]``), in which upper and lower case differ. Where
        all begin with ``!``, all other arrays are shared.

    Examples
    --------
    ::

        Sharing.of("features.*")  # the head stays at home
        Sharing.of(["*", "!head.*", "!*.running_*"])
    """

    patterns: tuple[str, ...] = ("*",)

    @classmethod
    def of(cls, given: str | Iterable[str] | Sharing) -> Sharing:
        """Make it from what users write: one glob, several, or several joined by commas.

        Raises
        ------
        ConfigError
            There is no pattern.
        """
        if isinstance(given, Sharing):
            return given
        parts = given.split(",") if isinstance(given, str) else given
        patterns = tuple(part.strip() for part in parts if part.strip(f"{_NOT} "))
        if not patterns:
            raise ConfigError("shared", given, "must hold a glob on array names, '*' for all")
        return cls(patterns)

    @property
    def is_everything(self) -> bool:
        """Whether nothing stays at home by name."""
        return self.patterns == ("*",)

    def spec(self) -> str:
        """Return the text from which `of` makes an equal one, if no pattern has a comma."""
        return ",".join(self.patterns)

    def takes(self, name: str) -> bool:
        """Return whether an array of this name is shared, if its dtype can be mixed."""
        out = [p[len(_NOT) :] for p in self.patterns if p.startswith(_NOT)]
        into = [p for p in self.patterns if not p.startswith(_NOT)] or ["*"]
        return _matches(name, into) and not _matches(name, out)

    def part(self, model: Model) -> dict[str, NDArray[Any]]:
        """Return the arrays that are mixed: floating-point, and shared by name."""
        mixed = mixed_part(model)
        if self.is_everything:
            return mixed
        return {name: array for name, array in mixed.items() if self.takes(name)}

    def personal(self, names: Iterable[str]) -> list[str]:
        """Return the names of those arrays that stay at home whatever their dtype."""
        return [] if self.is_everything else [name for name in names if not self.takes(name)]

    def check(self, model: Model) -> None:
        """Refuse patterns that do not fit a model, and models that cannot be mixed.

        Raises
        ------
        LayoutError
            No array is floating-point, as with trees.
        ConfigError
            A pattern matches no array, or no floating-point array is shared.
        """
        mixed = mixed_part(model)
        if not mixed:
            found = ", ".join(f"{name!r}: {dtype}" for name, (_, dtype) in layout(model).items())
            raise LayoutError(
                f"the model has no floating-point array to average ({found or 'no array'}): "
                "trees (XGBoost's, say) and other models packed into bytes cannot be trained "
                "with P2PL, only with a strategy that aggregates on a server"
            )
        for pattern in self.patterns:
            if not any(fnmatchcase(name, pattern.removeprefix(_NOT)) for name in model):
                rule = f"{pattern!r} matches none of the arrays"
                raise ConfigError("shared", self.spec(), rule, model)
        if not self.part(model):
            rule = "leaves no floating-point array to mix"
            raise ConfigError("shared", self.spec(), rule, mixed)


EVERYTHING = Sharing()


def _matches(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
