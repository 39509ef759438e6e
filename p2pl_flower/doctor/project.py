"""A Flower project's folder: its pyproject.toml, its two apps and its other sources."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .source import Source

_SKIPPED = {"build", "dist", "env", "venv", "node_modules", "site-packages", "__pycache__"}
_COMPONENTS = ("clientapp", "serverapp")


@dataclass(frozen=True)
class Component:
    """One of the two apps: the file that defines it, and its name there."""

    source: Source
    name: str


@dataclass(frozen=True)
class Project:
    """What is known of a project without running it.

    Attributes
    ----------
    client, server : Component
        The apps that ``[tool.flwr.app.components]`` names.
    sources : tuple[Source, ...]
        All Python files of the folder, those of the apps among them.
    dependencies : tuple[str, ...]
        ``[project] dependencies``.
    """

    client: Component
    server: Component
    sources: tuple[Source, ...]
    dependencies: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> Project:
        """Read a project.

        Raises
        ------
        ConfigError
            There is no pyproject.toml, it names no apps, or a file cannot be read.
        """
        config = _pyproject(folder)
        sources = tuple(_sources(folder))
        client, server = (_component(config, kind, sources) for kind in _COMPONENTS)
        listed = _table(config, "project").get("dependencies", [])
        return cls(client, server, sources, tuple(map(str, listed)))


def _pyproject(folder: Path) -> dict[str, Any]:
    path = folder / "pyproject.toml"
    if not path.is_file():
        rule = "must be the folder of a Flower project, with a pyproject.toml"
        raise ConfigError("app", str(folder), rule)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("app", str(path), f"is not valid TOML: {error}") from None


def _sources(folder: Path) -> list[Source]:
    found = []
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder)
        folders = relative.parts[:-1]
        if any(part.startswith(".") or part in _SKIPPED for part in folders):
            continue
        try:
            found.append(Source(relative, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError as error:
            raise ConfigError("source", str(relative), f"is not UTF-8: {error}") from None
    return found


def _component(config: Mapping[str, Any], kind: str, sources: tuple[Source, ...]) -> Component:
    components = _table(config, "tool", "flwr", "app", "components")
    text = components.get(kind)
    module, colon, name = str(text).partition(":")
    if text is None or not colon:
        rule = "pyproject.toml must name it under [tool.flwr.app.components], as 'module:name'"
        raise ConfigError(kind, text, rule)
    base = Path(*module.split("."))
    wanted = (base.with_suffix(".py"), base / "__init__.py")
    source = next((s for s in sources if s.path in wanted), None)
    if source is None:
        raise ConfigError(kind, text, f"there is no file {wanted[0]}")
    return Component(source, name)


def _table(config: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        inner = config.get(key, {})
        config = inner if isinstance(inner, dict) else {}
    return config
