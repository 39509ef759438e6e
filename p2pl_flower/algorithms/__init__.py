"""The algorithms of decentralized learning, one in each file: adding one is adding a file.

Every engine runs each of them: see `Algorithm` for what one is.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from ..config import Table
from .base import Algorithm, Arrays, Mixed, Sending, State, Training, each, zeros_like

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Arrays",
    "Mixed",
    "Sending",
    "State",
    "Training",
    "each",
    "zeros_like",
]


def _in_this_folder() -> dict[str, type[Algorithm]]:
    """Return the algorithms that the modules here define, by name."""
    modules = [import_module(f".{m.name}", __name__) for m in pkgutil.iter_modules(__path__)]
    classes = [kind for module in modules for kind in vars(module).values()]
    found = [k for k in classes if isinstance(k, type) and issubclass(k, Algorithm)]
    return {kind.name: kind for kind in found if vars(kind).get("name")}


ALGORITHMS: Table[Algorithm] = Table(
    "algorithm", _in_this_folder(), group="p2pl_flower.algorithms", base=(Algorithm,)
)
