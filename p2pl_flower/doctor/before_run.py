"""Projects from before ``flwr run``: scripts that start a server and clients themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..errors import ConfigError
from .findings import Remark
from .project import PYPROJECT, Project
from .python.names import Names

_STARTERS = (
    "start_server",
    "start_client",
    "start_numpy_client",
    "start_simulation",
    "run_simulation",
)
_FORMER_TABLES = (("flower", "components"), ("tool", "flwr", "components"))
_SCRIPT = (
    "{} is from before `flwr run`: name a ClientApp and a ServerApp under "
    "[tool.flwr.app.components] in pyproject.toml first (Flower's guide to upgrading says how)"
)
_FORMER = (
    "pyproject.toml names the apps under [{}], as early versions of `flwr run` wanted: put them "
    "under [tool.flwr.app.components] first"
)
_NONE = (
    "pyproject.toml names no apps under [tool.flwr.app.components], so that `flwr run` has "
    "nothing to run"
)
_AGENT = "this is an AgentApp: there is no model to train"


def has_apps(project: Project) -> bool:
    """Return whether pyproject.toml names a ClientApp or a ServerApp."""
    return bool({"clientapp", "serverapp"} & set(project.components))


def why_no_apps(project: Project) -> list[Remark | str]:
    """Return what a project without apps is.

    Raises
    ------
    ConfigError
        It has nothing to do with Flower.
    """
    if "agentapp" in project.components:
        return [_AGENT]
    found: list[Remark | str] = [*_starts(project)]
    for keys in _FORMER_TABLES:
        if project.table(*keys):
            found.append(_FORMER.format(".".join(keys)))
    if found:
        return found
    if not project.pyproject:
        rule = "must be the folder of a Flower project, with a pyproject.toml"
        raise ConfigError("app", str(project.folder), rule)
    if not project.table("tool", "flwr") and not _imports_flwr(project):
        rule = f"must be a Flower project: nothing in {PYPROJECT} or its files speaks of flwr"
        raise ConfigError("app", str(project.folder), rule)
    return [_NONE]


def _starts(project: Project) -> Iterator[Remark]:
    names = Names(project)
    for path in project.python_files():
        source = project.source(path)
        for node in ast.walk(source.tree) if not source.problem else ():
            if isinstance(node, ast.Call):
                found = names.thing(source, node.func)
                if found.is_flwr(*_STARTERS):
                    yield Remark(path, node.lineno, _SCRIPT.format(f"{found.last}()"))


def _imports_flwr(project: Project) -> bool:
    sources = (project.source(path) for path in project.python_files())
    return any("import flwr" in s.text or "from flwr" in s.text for s in sources)
