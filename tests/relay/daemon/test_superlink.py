"""A SuperLink, SuperNodes and relays as processes: models go from relay to relay alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from superlink_runs import Processes, federation

pytestmark = pytest.mark.slow

APP = Path(__file__).with_name("superlink_app")
MODEL_BYTES = 8 * 250_000


def test_the_superlink_carries_no_model(tmp_path) -> None:
    with federation(tmp_path, nodes=2) as processes:
        measured = run(processes, "rounds=1")
        assert measured["array_bytes"] == 0
        assert measured["through_superlink"] < MODEL_BYTES / 100
        assert measured["between_devices"] == [2 * MODEL_BYTES]
        assert measured["arrays"] == 0
        [[low, high]] = measured["loss"]
        # Both start from one model w of mean about 0; each goes half of the way to its id, 0 or 1,
        # and takes half of the other's.
        assert high - low < 1e-9
        assert low == pytest.approx(0.25, abs=0.01)
        measured = run(processes, 'rounds=2 algorithm="exact-diffusion"')
        # psi = (0, .5), w = (.125, .375); psi = (.0625, .6875), phi = psi + w - the psi before it
        # = (.1875, .5625), w = (.28125, .46875)
        assert measured["between_devices"] == [2 * MODEL_BYTES] * 2
        expected = [(0.125, 0.375), (0.28125, 0.46875)]
        for found, losses in zip(measured["loss"], expected, strict=True):
            assert found == pytest.approx(losses, abs=0.01)


def run(processes: Processes, config: str) -> dict[str, Any]:
    """Run the app on the SuperLink, and return what its ServerApp said."""
    printed = processes.run(APP, config)
    said = [line for line in printed.splitlines() if "SAID " in line]
    assert said, printed
    measured: dict[str, Any] = json.loads(said[0].partition("SAID ")[2])
    return measured
