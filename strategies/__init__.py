"""The contenders of a comparison, one in each file: adding one is adding a file.

A file here that defines a subclass of `Contender` with a ``name`` is found by itself.
"""

from __future__ import annotations

import functools
import pkgutil
import re
from importlib import import_module

from p2pl_flower.algorithms import ALGORITHMS
from p2pl_flower.errors import ConfigError

from .base import ByAlgorithm, Contender, Task

__all__ = ["Contender", "Task", "contender", "contenders"]


@functools.cache
def contenders() -> dict[str, Contender]:
    """Return one instance of every contender, by name."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f".{module.name}", __name__)
    kinds: list[type[Contender]] = _subclasses(Contender)  # type: ignore[type-abstract]
    return {kind.name: kind() for kind in kinds if "name" in vars(kind)}


def contender(name: str) -> Contender:
    """Return the contender called ``name``, or the one that trains by the algorithm of that text.

    Raises
    ------
    ConfigError
        There is none.
    """
    if name in contenders():
        return contenders()[name]
    known = sorted({*contenders(), *ALGORITHMS.names()})
    if "." not in name and re.split("[:@]", name)[0] not in known:
        raise ConfigError("contenders", name, "unknown name", known)
    try:
        return ByAlgorithm(name)
    except ConfigError as error:
        raise ConfigError("contenders", name, error.rule, error.choices) from None


def _subclasses(kind: type[Contender]) -> list[type[Contender]]:
    return [s for child in kind.__subclasses__() for s in (child, *_subclasses(child))]
