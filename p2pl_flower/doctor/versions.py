"""Which versions are installed, which a project asks for, and which are supported."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_BOUND = re.compile(r"(==|~=|<=|<|>=|>)\s*([0-9]+(?:\.[0-9]+)*)")

Version = tuple[int, ...]


def versions_line(dependencies: Iterable[str]) -> str:
    """Return one line on what is installed and what the project asks for."""
    here = [f"{name} {installed(name)}" for name in ("flwr", "p2pl-flower")]
    asked = [d for d in dependencies if _name(d) in ("flwr", "p2pl-flower")]
    wants = f"the project asks for {', '.join(asked)}" if asked else "the project names neither"
    supported = f"supported is flwr{supported_range()}"
    return f"Python {platform.python_version()}, {', '.join(here)}; {wants}; {supported}"


def version_refusals(dependencies: Iterable[str]) -> list[str]:
    """Return why flwr, as it is installed or asked for, is not supported."""
    least, below = _limits(supported_range())
    found = []
    here = installed("flwr")
    if here[:1].isdigit() and not least <= _numbers(here) < below:
        found.append(f"flwr {here} is installed, and {supported_range()} is supported")
    for dependency in dependencies:
        if _name(dependency) == "flwr":
            low, high = _limits(dependency)
            if high <= least or low >= below:
                rule = f"excludes all supported versions ({supported_range()})"
                found.append(f"pyproject.toml: {dependency!r} {rule}")
    return found


def supported_range() -> str:
    """Return the range of flwr that p2pl-flower itself asks for, such as ``>=1.30,<2``."""
    wanted = next(d for d in requires("p2pl-flower") or [] if _name(d) == "flwr")
    bounds = [f"{sign}{number}" for sign, number in _BOUND.findall(wanted.partition(";")[0])]
    return ",".join(sorted(bounds, reverse=True))


def _limits(requirement: str) -> tuple[Version, Version]:
    """Return the least version that is allowed, and one that no allowed version reaches."""
    low: Version = (0,)
    high: Version = (10**6,)
    for sign, text in _BOUND.findall(requirement):
        number = _numbers(text)
        if sign in ("==", "~=", ">=", ">"):
            low = max(low, number)
        if sign in ("==", "<="):
            high = min(high, (*number, 1))
        elif sign == "<":
            high = min(high, number)
        elif sign == "~=":
            high = min(high, (*number[:-2], number[-2] + 1) if len(number) > 1 else high)
    return low, high


def _name(dependency: str) -> str:
    found = _NAME.match(dependency)
    return found.group().lower().replace("_", "-") if found else ""


def _numbers(text: str) -> Version:
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def installed(name: str) -> str:
    """Return the version of a package that is installed, or that it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"
