"""All that the doctor finds in a project."""

from __future__ import annotations

from pathlib import Path

from .app_objects import App, app_of
from .before_run import has_apps, why_no_apps
from .client import client_of
from .dependency import notes, requirement, with_dependency
from .findings import Changed, Findings, Remark, ordered
from .installed import missing_imports, unfit_name
from .legacy import legacy_of, old_server
from .project import PYPROJECT, Project
from .python.modules import reach
from .python.names import Names
from .python.rewrites import Rewrites
from .python.source import Source
from .server import Server, server_of
from .strategy.run_config import RunConfig
from .versions import version_refusals

_SKIPPED = "{}; the app does not import it, and it is not looked at"


def examine(project: Project) -> Findings:
    """Return what P2PL asks for in a project, and what it refuses.

    Raises
    ------
    ConfigError
        The project's files cannot be read, or one that the app imports does not parse.
    """
    if not has_apps(project):
        return Findings(refused=why_no_apps(project))
    names, rewrites = Names(project), Rewrites(project)
    sources = reach(project, project.server.source)
    client = client_of(names, rewrites)
    config = RunConfig(names, project.table("tool", "flwr", "app", "config"), client.scored)
    app = app_of(names, project.server, sources, "ServerApp", "PeerServerApp")
    server = _server(names, sources, config, app, rewrites)
    found = Findings(
        refused=[
            *version_refusals(project.dependencies),
            *ordered([*client.refused, *server.refused]),
        ],
        notes=list(_unread(project)),
    )
    if found.refused:
        return found
    found.lost = ordered(server.lost)
    missing = missing_imports([*client.sources, *sources])
    found.notes[:0] = ordered([*client.notes, *server.notes, *missing])
    found.changed = [*rewrites.changed(), *_pyproject(project)]
    found.notes += [*unfit_name(project.name), *notes(project, requirement())]
    return found


def _server(
    names: Names, sources: list[Source], config: RunConfig, app: App | None, rewrites: Rewrites
) -> Server:
    if app is not None and (app.is_ours or app.argument("server_fn", 4) is not None):
        return legacy_of(names, sources, app, rewrites)
    old = [app.argument("strategy", 2), app.argument("config", 1)] if app is not None else []
    if app is not None and any(value is not None for value in old):
        return old_server(app.source, app)
    return server_of(names, sources, config, rewrites)


def _pyproject(project: Project) -> list[Changed]:
    old, new = project.pyproject, with_dependency(project, requirement())
    return [Changed(Path(PYPROJECT), old, new)] if old != new else []


def _unread(project: Project) -> list[Remark]:
    """Return the files that do not parse; those of the app are refused before."""
    found = (project.source(path) for path in project.python_files())
    return [Remark(s.path, 1, _SKIPPED.format(s.problem)) for s in found if s.problem]
