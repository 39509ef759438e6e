"""Where classes and functions are to be found: ``package.module.name``."""

from __future__ import annotations

import functools
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def look_here() -> None:
    """Let modules of the working folder be found, as ``python -m`` does."""
    here = str(Path.cwd())
    if "" not in sys.path and here not in sys.path:
        sys.path.insert(0, here)


def found_at(path: str) -> Any:
    """Return what is at ``package.module.name``, ``package.module.Class.name`` and so on.

    Raises
    ------
    ImportError
        The module cannot be imported.
    AttributeError
        It lacks the name.
    """
    names = path.split(".")
    for count in range(len(names) - 1, 0, -1):
        module = ".".join(names[:count])
        try:
            found = import_module(module)
        except ModuleNotFoundError as error:
            if count > 1 and f"{module}.".startswith(f"{error.name}."):
                continue  # a class, not a module
            raise
        return functools.reduce(getattr, names[count:], found)
    raise ModuleNotFoundError(f"{path!r} is no path such as package.module.name")


def path_of(thing: Any) -> str:
    """Return the path by which `found_at` finds a class or a function.

    Raises
    ------
    ValueError
        There is none; says why.
    """
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not module or not name:
        raise ValueError(f"{thing!r:.60} has no name of its own")
    if module in ("__main__", "__mp_main__"):
        raise ValueError(f"{name} is defined in the script that was started")
    if "<" in name:
        raise ValueError(f"{name} is defined within a function, or has no name")
    try:
        found = found_at(f"{module}.{name}")
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{name} is not to be found in {module} ({error})") from None
    if found is not thing:
        raise ValueError(f"{module}.{name} is another object by now")
    return f"{module}.{name}"
