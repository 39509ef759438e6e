"""What a project imports from flwr, and the installed flwr does not have."""

from __future__ import annotations

from pathlib import Path

import flwr
import pytest
from doctor_projects import CLIENT, CLIENT_FN, PYPROJECT, SERVER, SERVER_FN, found
from flwr.cli import utils

from p2pl_flower.doctor import installed

THERE = """\
from flwr.app import ArrayRecord, Context
from flwr.common import log, ndarrays_to_parameters
from flwr.clientapp.mod import LocalDpMod
from flwr.serverapp import strategy
from flwr import simulation
from flwr.server.strategy import *
"""


def test_what_is_there_is_not_spoken_of(tmp_path: Path) -> None:
    assert found(tmp_path / "a", {"client.py": THERE + CLIENT}).notes == []
    files = {"client.py": CLIENT_FN, "server.py": SERVER_FN}
    assert found(tmp_path / "b", files).notes == []


def test_what_is_missing_is_told_once_for_each_file(tmp_path: Path) -> None:
    gone = "from flwr.common import Gone, Context\nfrom flwr.never import x\n"
    findings = found(tmp_path, {"task.py": gone, "server.py": "from . import task\n" + SERVER})
    assert findings.refused == []
    [note] = findings.notes
    assert str(note).startswith(
        f"app/task.py:1: the installed flwr ({flwr.__version__}) has no flwr.common.Gone, "
        "flwr.never: the import fails, with P2PL as without"
    )


def test_without_flwr_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installed, "_folder", lambda: None)
    gone = "from flwr.common import Gone\n"
    assert found(tmp_path, {"server.py": gone + SERVER}).notes == []


@pytest.mark.parametrize(
    "name", ["app", "my-app-2", "x" * 32, "my_app", "2app", "app.one", "x" * 33]
)
def test_names_that_flwr_run_does_not_take_are_told(name: str, tmp_path: Path) -> None:
    refuse = getattr(utils, "validate_project_name", None)
    refused = False
    try:
        refuse and refuse(name, "app")
    except ValueError:
        refused = True
    notes = found(tmp_path, toml=PYPROJECT.replace('name = "app"', f'name = "{name}"')).notes
    assert [f"name = {name!r} is one that" in str(note) for note in notes] == [True] * refused
