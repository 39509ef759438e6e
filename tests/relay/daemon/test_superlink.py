"""A SuperLink, SuperNodes and relays as processes: models go from relay to relay alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from federation import Federation

pytestmark = pytest.mark.slow

MODEL_BYTES = 8 * 250_000


@pytest.fixture
def federation(tmp_path) -> Iterator[Federation]:
    made = Federation(tmp_path, devices=2)
    try:
        made.start()
        yield made
    finally:
        made.end()


def test_the_superlink_carries_no_model(federation) -> None:
    measured = run(federation, "rounds=1")
    assert measured["array_bytes"] == 0
    assert measured["through_superlink"] < MODEL_BYTES / 100
    assert measured["between_devices"] == [2 * MODEL_BYTES]
    assert measured["arrays"] == 0
    [[low, high]] = measured["loss"]
    # Both start from one model w of mean about 0; each goes half of the way to its id, 0 or 1,
    # and takes half of the other's.
    assert high - low < 1e-9
    assert low == pytest.approx(0.25, abs=0.01)
    measured = run(federation, 'rounds=2 algorithm="exact-diffusion"')
    # psi = (0, .5), w = (.125, .375); psi = (.0625, .6875), phi = psi + w - the psi before it
    # = (.1875, .5625), w = (.28125, .46875)
    assert measured["between_devices"] == [2 * MODEL_BYTES] * 2
    for found, expected in zip(measured["loss"], [(0.125, 0.375), (0.28125, 0.46875)], strict=True):
        assert found == pytest.approx(expected, abs=0.01)


def run(federation: Federation, config: str) -> dict[str, Any]:
    """Run the app on the SuperLink, and return what its ServerApp said."""
    printed, _ = federation.flwr_run(config).communicate(timeout=500)
    said = [line for line in printed.splitlines() if "SAID " in line]
    assert said, printed + federation.logs()
    measured: dict[str, Any] = json.loads(said[0].partition("SAID ")[2])
    return measured
