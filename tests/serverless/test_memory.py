"""A peer's memory: the model it works on and what it makes of it, whatever its neighbors send."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import peer_memory

pytestmark = pytest.mark.slow

BENCHMARKS = Path(peer_memory.__file__).parent
MOST_MODELS = 3


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_rounds_of_a_real_peer_take_less_than_three_models(tmp_path, monkeypatch) -> None:
    """Two peers with certificates, as processes, with a model of 100 MB."""
    monkeypatch.chdir(BENCHMARKS.parent)
    devices = peer_memory.measure(leaves=1, rounds=2, folder=tmp_path)
    assert [device["neighbors"] for device in devices] == [1, 1]
    for device in devices:
        assert 1 < device["models"] < MOST_MODELS


def test_the_committed_figures_are_within_what_is_promised() -> None:
    rounds = json.loads((BENCHMARKS / "peer_memory.json").read_text())
    assert {device["neighbors"] for device in rounds["devices"]} == {1, 4}
    assert max(device["models"] for device in rounds["devices"]) < MOST_MODELS
    transfer = json.loads((BENCHMARKS / "relay_throughput.json").read_text())
    assert max(transfer["memory_in_models"].values()) < MOST_MODELS
    assert transfer["ratio"] >= 0.5
    for measured in (rounds, transfer):
        assert not measured["environment"]["git_revision"].endswith("-dirty")
