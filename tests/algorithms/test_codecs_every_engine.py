"""Every codec in every engine: all devices end with the same models, and send as much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_every_engine import DEVICES, KEYS, Outcome, in_flower, in_swarm, over_daemons, serverless

from p2pl_flower import FileRelay, MemoryRelay
from p2pl_flower.serverless.cluster import free_ports
from simulations.scenario import Scenario

SMOOTH, ROUGH = 1e-4, 2e-2
"""How far engines may be apart: where a codec rounds, a bit in a sum is a step in what is sent."""

RUNS: dict[str, tuple[dict[str, Any], float]] = {
    "float16": ({"codec": "float16"}, SMOOTH),
    "bfloat16": ({"codec": "bfloat16"}, 1e-3),
    "int8": ({"codec": "int8:block=32"}, 1e-3),
    "low-bit": ({"codec": "low-bit", "algorithm": "choco"}, ROUGH),
    "random-k": ({"codec": "random-k:fraction=0.3"}, SMOOTH),
    "partial": ({"codec": "partial"}, SMOOTH),
    "forgetting": ({"codec": "top-k:fraction=0.3", "consensus-gamma": 0.3}, ROUGH),
    "errors": (
        {
            "codec": "top-k:fraction=0.3",
            "codec-memory": "error-feedback",
            "consensus-gamma": 0.2,
        },
        ROUGH,
    ),
    "choco": ({"codec": "top-k:fraction=0.3+int8", "algorithm": "choco"}, ROUGH),
    "k-gt": (
        {"codec": "random-k:fraction=0.3", "codec-memory": "public-copies", "algorithm": "k-gt"},
        SMOOTH,
    ),
    "clipped": ({"codec": "random-k:fraction=0.5", "algorithm": "outside.Clipped"}, SMOOTH),
    "median": ({"codec": "float16", "mixing": "median"}, 1e-3),
}
TROUBLED: dict[str, dict[str, Any]] = {
    "losses": {"links": "bernoulli:up=0.6"},
    "churn": {"links": "churn:away=0.3,absence=1"},
    "schedule": {"topology": "random-matchings"},
    "personal": {"shared": "!*bias"},
    "own starts": {"init": "independent"},
}


def check(found: Outcome, expected: Outcome, apart: float) -> None:
    for device, model in expected[0].items():
        for array in model:
            norm = np.linalg.norm(found[0][device][array] - model[array])
            assert norm <= apart * np.linalg.norm(model[array]), (device, array, norm)


@pytest.mark.parametrize("name", RUNS)
def test_swarm_and_flower_agree(name: str) -> None:
    keys, apart = RUNS[name]
    scenario = Scenario.of({**KEYS, **keys})
    expected, found = in_swarm(scenario), in_flower(scenario, MemoryRelay)
    check(found, expected, apart)
    assert [r.bytes_sent for r in found[1]] == [r.bytes_sent for r in expected[1]]
    assert [r.bytes_sent_busiest for r in found[1]] == [r.bytes_sent_busiest for r in expected[1]]


@pytest.mark.parametrize("trouble", TROUBLED)
@pytest.mark.parametrize("name", ["random-k", "errors", "low-bit", "k-gt"])
def test_they_agree_where_links_fail_and_graphs_change(name: str, trouble: str) -> None:
    """Copies that missed a step are fetched as a whole, and both count it."""
    keys, apart = RUNS[name]
    scenario = Scenario.of({**KEYS, **keys, **TROUBLED[trouble]})
    expected, found = in_swarm(scenario), in_flower(scenario, MemoryRelay)
    check(found, expected, apart)
    assert [r.bytes_sent for r in found[1]] == [r.bytes_sent for r in expected[1]]


@pytest.mark.parametrize(
    "engine",
    [
        "file",
        pytest.param("daemons", marks=pytest.mark.slow),
        pytest.param("serverless", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", ["int8", "partial", "errors", "choco", "k-gt"])
def test_other_engines_agree(name, engine, tmp_path, monkeypatch) -> None:
    keys, apart = RUNS[name]
    scenario = Scenario.of({**KEYS, **keys})
    expected = in_swarm(scenario)
    if engine == "serverless":
        ports = [f"127.0.0.1:{port}" for port in free_ports(DEVICES)]
        monkeypatch.setattr("test_every_engine.PORTS", ports)
        found = serverless(scenario, tmp_path)
    elif engine == "daemons":
        found = over_daemons(scenario, tmp_path)
    else:
        found = in_flower(scenario, FileRelay)
    check(found, expected, apart)
    assert sum(r.bytes_sent for r in found[1]) == sum(r.bytes_sent for r in expected[1])
