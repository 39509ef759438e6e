"""A Flower project's folder: its pyproject.toml, its two apps and its other sources."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .python.source import Source

_SKIPPED = {"build", "dist", "env", "venv", "node_modules", "site-packages", "__pycache__"}
_NAMED = "pyproject.toml must name it under [tool.flwr.app.components], as 'module:name'"
_SRC = Path("src")
PYPROJECT = "pyproject.toml"


@dataclass(frozen=True)
class Component:
    """One of the two apps: the file that pyproject.toml names, and its name there."""

    kind: str
    source: Source
    name: str


@dataclass(frozen=True)
class Project:
    """What is known of a project without running it.

    Attributes
    ----------
    folder : Path
        Where it is.
    pyproject : str
        The text of its pyproject.toml, with the line ends that it has; empty if it has none.
    """

    folder: Path
    pyproject: str
    _sources: dict[Path, Source] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, folder: Path) -> Project:
        """Read a project's pyproject.toml.

        Raises
        ------
        ConfigError
            There is no such folder, or its pyproject.toml is not valid.
        """
        if not folder.is_dir():
            raise ConfigError("app", str(folder), "must be the folder of a Flower project")
        path = folder / PYPROJECT
        if not path.is_file():
            return cls(folder, "")
        try:
            text = path.read_bytes().decode()
            tomllib.loads(_plain(text))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError("app", str(path), f"is not valid TOML: {error}") from None
        return cls(folder, text)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What pyproject.toml says."""
        return tomllib.loads(_plain(self.pyproject))

    def table(self, *keys: str) -> Mapping[str, Any]:
        """Return a table of pyproject.toml; an empty one where it has none."""
        found: Mapping[str, Any] = self.config
        for key in keys:
            inner = found.get(key, {})
            found = inner if isinstance(inner, dict) else {}
        return found

    @property
    def name(self) -> str:
        """What ``[project] name`` says; empty if it says nothing."""
        return str(self.table("project").get("name", ""))

    @property
    def dependencies(self) -> tuple[str, ...]:
        """What ``[project] dependencies`` lists."""
        listed = self.table("project").get("dependencies", [])
        return tuple(map(str, listed)) if isinstance(listed, list) else ()

    @property
    def components(self) -> Mapping[str, Any]:
        """What ``[tool.flwr.app.components]`` holds."""
        return self.table("tool", "flwr", "app", "components")

    @cached_property
    def client(self) -> Component:
        """The app of ``clientapp``; ConfigError where pyproject.toml names none that is there."""
        return self._component("clientapp")

    @cached_property
    def server(self) -> Component:
        """The app of ``serverapp``; ConfigError where pyproject.toml names none that is there."""
        return self._component("serverapp")

    def module(self, name: str) -> Source | None:
        """Return the file of a module that an app would import by this name, if it is here.

        It is looked for in the folder itself, where `flwr run` does, and in ``src``, from where
        a project may be installed.
        """
        inner = Path(*name.split(".")) if name else Path()
        for base in (inner, _SRC / inner) if name else (inner,):
            for path in (base / "__init__.py", base.with_suffix(".py") if name else base):
                if path.suffix and (self.folder / path).is_file():
                    return self.source(path)
        return None

    def source(self, path: Path) -> Source:
        """Return a file, which is read once."""
        if path not in self._sources:
            self._sources[path] = Source.read(self.folder, path)
        return self._sources[path]

    def python_files(self) -> Iterator[Path]:
        """Yield all Python files of the folder, but those of environments and builds."""
        for path in sorted(self.folder.rglob("*.py")):
            relative = path.relative_to(self.folder)
            folders = relative.parts[:-1]
            if not any(part.startswith(".") or part in _SKIPPED for part in folders):
                yield relative

    def _component(self, kind: str) -> Component:
        text = self.components.get(kind)
        module, colon, name = str(text).partition(":")
        if text is None or not colon:
            raise ConfigError(kind, text, _NAMED)
        source = self.module(module)
        if source is None:
            where = Path(*module.split(".")).with_suffix(".py")
            raise ConfigError(kind, text, f"there is no file {where}")
        return Component(kind, source, name)


def _plain(text: str) -> str:
    """Return TOML without what its grammar does not allow, but editors leave there."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n")
