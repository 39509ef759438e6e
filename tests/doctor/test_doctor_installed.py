"""What a project imports from flwr, and the installed flwr does not have."""

from __future__ import annotations

from pathlib import Path

import flwr
import pytest
from doctor_projects import CLIENT, CLIENT_FN, SERVER, SERVER_FN, found

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
