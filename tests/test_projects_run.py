"""The sample projects as users run them: by ``flwr run``, on Flower's Ray simulation.

All runs share one SuperLink and one Ray cluster.
"""

from __future__ import annotations

from pathlib import Path

import flower_projects
import pytest
from flower_projects import NAMES
from flower_runs import Flower

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(
    not Path("/proc").is_dir(), reason="finds the SuperLink through /proc"
)

DEVICES = 3


@pytest.mark.parametrize("peer_to_peer", [False, True], ids=["fedavg", "p2pl"])
@pytest.mark.parametrize("name", NAMES)
def test_flwr_run(name: str, peer_to_peer: bool, flower: Flower, tmp_path: Path) -> None:
    folder = flower_projects.copy(name, tmp_path, peer_to_peer, installs=False)
    printed = flower.run(folder, DEVICES)
    legacy = name == "numpy-client" and not peer_to_peer
    assert ("[SUMMARY]" if legacy else "Strategy execution finished") in printed, printed
    assert ("accuracy after consensus" in printed) == peer_to_peer, printed
    assert "Traceback" not in printed, printed
