"""The log that docs/convert.md shows is what the sample project logs."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import flower_projects
import pytest
from code_blocks import ROOT, blocks
from flwr.app import Context, RecordDict
from local_grid import RUN_ID, LocalGrid

pytest.importorskip("sklearn")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def scores(text: str) -> list[str]:
    """Return the accuracies, and the bytes between devices, in P2PL's lines."""
    text = " ".join(text.split())
    return re.findall(r"\d\.\d{4}(?!\d)|[\d,]+(?= bytes between)", text)


def test_the_shown_log_is_what_is_logged(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.chdir(tmp_path)
    [shown] = [b.code for b in blocks(ROOT / "docs" / "convert.md") if b.kind == "text"]
    folder = flower_projects.copy("sklearn", tmp_path, peer_to_peer=True)
    with flower_projects.loaded(folder) as apps, caplog.at_level(logging.INFO, "flwr.p2pl"):
        grid = LocalGrid(apps.client, 3, run_config=apps.config)
        apps.server(grid, Context(RUN_ID, 1, {}, RecordDict(), apps.config))
    logged = [r.getMessage() for r in caplog.records if "P2PL: " in r.getMessage()]
    assert len(logged) == 2
    assert scores(shown) == scores(" ".join(logged))
