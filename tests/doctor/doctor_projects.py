"""Small projects for the doctor to look at: each stands for a kind that people write."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from p2pl_flower.doctor.examine import examine
from p2pl_flower.doctor.findings import Findings
from p2pl_flower.doctor.project import Project

PYPROJECT = """\
[project]
name = "app"
version = "1.0.0"
dependencies = ["flwr>=1.30", "p2pl-flower @ https://host/p2pl_flower-0.1.0-py3-none-any.whl"]

[tool.flwr.app.components]
serverapp = "app.server:app"
clientapp = "app.client:app"

[tool.flwr.app.config]
rounds = 3
fraction = 0.5
never = 0.0
"""
CLIENT = """\
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message, context):
    ...


@app.evaluate()
def evaluate(message, context):
    ...
"""
SERVER = """\
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid, context):
    strategy = FedAvg()
    strategy.start(grid, arrays)
"""
CLIENT_FN = """\
from flwr.client import ClientApp, NumPyClient


class Client(NumPyClient):
    def fit(self, parameters, config):
        return parameters, 1, {}

    def evaluate(self, parameters, config):
        return 0.0, 1, {}


def client_fn(context):
    return Client().to_client()


app = ClientApp(client_fn)
"""
SERVER_FN = """\
from flwr.server import ServerApp, ServerAppComponents
from flwr.server.strategy import FedAvg


def server_fn(context):
    return ServerAppComponents(strategy=FedAvg(initial_parameters=p))


app = ServerApp(server_fn=server_fn)
"""


def make(folder: Path, files: dict[str, str] | None = None, toml: str = PYPROJECT) -> Path:
    """Write a project with a client and a server, and other files of its package ``app``.

    Parameters
    ----------
    folder : Path
        Where; it is made.
    files : dict[str, str], optional
        Texts by path, in the folder of the package ``app`` or, with a leading slash, in the
        project's own; ``client.py`` and ``server.py`` unless they are given.
    toml : str
        What pyproject.toml says.
    """
    texts = {"client.py": CLIENT, "server.py": SERVER, "__init__.py": "", **(files or {})}
    for name, text in {**texts, "/pyproject.toml": toml}.items():
        path = folder / (name[1:] if name.startswith("/") else f"app/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    return folder


def server(strategy: str, classes: str = "", imports: str = "FedAvg") -> str:
    """Return a ServerApp that starts a strategy, after some classes of its own."""
    return (
        f"from flwr.serverapp import ServerApp\n"
        f"from flwr.serverapp.strategy import {imports}\n"
        f"{dedent(classes)}\n"
        f"app = ServerApp()\n\n\n"
        f"@app.main()\n"
        f"def main(grid, context):\n"
        f"    strategy = {strategy}\n"
        f"    strategy.start(grid, arrays)\n"
    )


def found(folder: Path, files: dict[str, str] | None = None, toml: str = PYPROJECT) -> Findings:
    """Return what the doctor finds in such a project."""
    return examine(Project.read(make(folder, files, toml)))


def new(folder: Path, files: dict[str, str], name: str = "server.py", toml: str = PYPROJECT) -> str:
    """Return a file of such a project as the doctor would have it; it must be convertible."""
    findings = found(folder, files, toml)
    assert findings.refused == []
    texts = {changed.path.as_posix(): changed.new for changed in findings.changed}
    for text in texts.values():
        compile(text, name, "exec") if not text.startswith("[") else None
    return texts.get(f"app/{name}", files.get(name, ""))


def lines(text: str, *words: str) -> list[str]:
    """Return the lines of a text that have one of these words in them, without blanks around."""
    return [line.strip() for line in text.splitlines() if any(word in line for word in words)]
