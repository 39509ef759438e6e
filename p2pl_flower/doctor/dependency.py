"""The line in pyproject.toml that has p2pl-flower installed where the app runs."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from .project import Project

NAME = "p2pl-flower"
LEAST_PYTHON = "3.11"

_ADVICE = (
    "add p2pl-flower to the dependencies in pyproject.toml: `flwr run` installs what an app "
    "lists into an environment of its own. From a folder or a wheel of this machine that is "
    '"p2pl-flower @ file:///path/to/p2pl-flower", for SuperNodes elsewhere '
    '"p2pl-flower @ https://host/p2pl_flower-0.1.0-py3-none-any.whl"'
)
_LOCAL = (
    "{!r} is on this machine: SuperNodes elsewhere need a wheel at an address that they reach, "
    '"p2pl-flower @ https://host/p2pl_flower-0.1.0-py3-none-any.whl"'
)
_BY_NAME = "{!r} by its name alone is found once p2pl-flower is published; until then write {!r}"

_TABLE = re.compile(r"^[ \t]*\[project\][ \t]*(?:#[^\n]*)?\r?$", re.MULTILINE)
_DYNAMIC = re.compile(r"""^dynamic[^\]]*["']dependencies["']""", re.MULTILINE)
_STRING = re.compile(r'#[^\n]*|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')


def requirement() -> str:
    """Return what to list for p2pl-flower as it is installed here; empty if it is not.

    An installation that came from a folder, a file, an address or a repository is asked for
    from there; one that came from a package index by its version.
    """
    try:
        found = distribution(NAME)
    except PackageNotFoundError:
        return ""
    text = found.read_text("direct_url.json")
    if text is None:
        return f"{NAME}>={found.version}"
    origin: dict[str, Any] = json.loads(text)
    url = str(origin["url"])
    if "vcs_info" in origin:
        version = origin["vcs_info"]
        url = f"{version['vcs']}+{url}@{version['commit_id']}"
    return f"{NAME} @ {url}"


def listed(project: Project) -> str:
    """Return the dependency on p2pl-flower that a project lists; empty if it has none."""
    return next((d for d in project.dependencies if _name(d) == NAME), "")


def with_dependency(project: Project, wanted: str) -> str:
    """Return pyproject.toml with p2pl-flower among the dependencies, as it was otherwise.

    Where it cannot be put there safely, the text comes back as it is.
    """
    text = project.pyproject
    here = listed(project)
    if not wanted or not text or (here and (here != NAME or wanted.startswith(f"{NAME}>="))):
        return text
    new = _replaced(text, here, wanted) if here else _added(text, wanted)
    expected = [d for d in project.dependencies if d != here] + [wanted]
    if sorted(_dependencies(new)) != sorted(expected):
        return text
    return _python(_direct(new, wanted))


def notes(project: Project, wanted: str) -> list[str]:
    """Return what is worth knowing about the dependency."""
    here = listed(project)
    if not here and with_dependency(project, wanted) == project.pyproject:
        return [_ADVICE]
    told = here or wanted
    if told.startswith(f"{NAME} @ file:"):
        return [_LOCAL.format(told)]
    named = here and " @ " not in here and " @ " in wanted and here != NAME
    return [_BY_NAME.format(here, wanted)] if named else []


def _added(text: str, wanted: str) -> str:
    """Return a text with an entry at the end of ``[project] dependencies``."""
    start, end = _array(text)
    entry = json.dumps(wanted)
    if end < 0:
        return _listed_first(text, entry)
    inside = text[start:end]
    if "\n" not in inside:
        before = inside.rstrip()
        comma = "" if not before else " " if before.endswith(",") else ", "
        return f"{text[:start]}{inside.rstrip()}{comma}{entry}{text[end:]}"
    lines = [line for line in inside.splitlines() if line.strip()]
    indent = re.match(r"\s*", lines[-1]).group() if lines else "    "  # type: ignore[union-attr]
    last = _last_entry(inside)
    body = inside[:last] + ("" if not last or inside[last:].lstrip().startswith(",") else ",")
    rest = inside[last:]
    newline = "\r\n" if "\r\n" in text else "\n"
    tail = rest.rstrip()
    return f"{text[:start]}{body}{tail}{newline}{indent}{entry},{newline}{text[end:]}"


def _listed_first(text: str, entry: str) -> str:
    """Return a text whose ``[project]`` lists one dependency, where it lists none."""
    table = _TABLE.search(text)
    if table is None or _DYNAMIC.search(text):
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    at = table.end() + (1 if text[table.end() :].startswith("\n") else 0)
    return f"{text[:at]}dependencies = [{entry}]{newline}{text[at:]}"


def _last_entry(inside: str) -> int:
    """Return where the last string of an array ends."""
    ends = [m.end() for m in _STRING.finditer(inside) if not m.group().startswith("#")]
    return ends[-1] if ends else 0


def _replaced(text: str, here: str, wanted: str) -> str:
    start, end = _array(text)
    inside = text[start:end]
    pattern = rf"""(["']){re.escape(here)}\1"""
    return text[:start] + re.sub(pattern, lambda _: json.dumps(wanted), inside) + text[end:]


def _array(text: str) -> tuple[int, int]:
    """Return where the inside of ``[project] dependencies`` begins and ends; -1 if nowhere."""
    table = _TABLE.search(text)
    if table is None:
        return -1, -1
    following = re.compile(r"^[ \t]*\[(?!\s*\n)", re.MULTILINE).search(text, table.end())
    stop = following.start() if following else len(text)
    key = re.compile(r"^[ \t]*dependencies[ \t]*=[ \t]*\[", re.MULTILINE).search(
        text, table.end(), stop
    )
    if key is None:
        return -1, -1
    at = key.end()
    while at < len(text) and text[at] != "]":
        string = _STRING.match(text, at)
        at = string.end() if string else at + 1
    return key.end(), at


def _direct(text: str, wanted: str) -> str:
    """Let hatchling, which many apps are built with, take an address as a dependency."""
    config = tomllib.loads(text.replace("\r\n", "\n").removeprefix("\ufeff"))
    backend = config.get("build-system", {}).get("build-backend", "")
    hatch = config.get("tool", {}).get("hatch", {}).get("metadata", {})
    if " @ " not in wanted or not backend.startswith("hatchling") or hatch:
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = ["", "[tool.hatch.metadata]", "allow-direct-references = true", ""]
    end = "" if text.endswith("\n") else newline
    return text + end + newline.join(lines)


def _python(text: str) -> str:
    """Raise a lower bound on Python that p2pl-flower does not support."""
    pattern = r"""^(\s*requires-python\s*=\s*["']>=\s*)3\.(?:[6-9]|10)(?:\.\d+)?(?=[,"'\s])"""
    return re.sub(pattern, rf"\g<1>{LEAST_PYTHON}", text, count=1, flags=re.MULTILINE)


def _dependencies(text: str) -> list[str]:
    try:
        config = tomllib.loads(text.replace("\r\n", "\n").removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError:
        return []
    return list(map(str, config.get("project", {}).get("dependencies", [])))


def _name(dependency: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", dependency)
    return found.group().lower().replace("_", "-") if found else ""
