"""Who hears whom, in every engine: schedules, losses and their weights give the same models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_every_engine import DEVICES, KEYS, Outcome, in_flower, in_swarm, over_daemons, run_peers

from p2pl_flower import FileRelay, MemoryRelay
from p2pl_flower.relay.contents import MODEL, from_publication
from p2pl_flower.serverless.cluster import free_ports
from p2pl_flower.serverless.peer import ServerlessPeer
from p2pl_flower.serverless.settings import Settings
from simulations.scenario import Scenario

STEPS: dict[str, Any] = {"consensus-steps": 3}
ONE_WAY: dict[str, Any] = {"weights": "uniform", **STEPS}
LOSSY: dict[str, Any] = {"links": "bernoulli:up=0.6"}
REWEIGHT: dict[str, Any] = {"on-missing": "reweight", **STEPS}
CORRECTED: dict[str, Any] = {"algorithm": "eigenvector-correction"}
PUSH: dict[str, Any] = {"algorithm": "push-sum", "weights": "out-degree", **STEPS}
CASES: dict[str, dict[str, Any]] = {
    "matchings": {"topology": "random-matchings", **STEPS},
    "matchings-of-rounds": {"topology": "random-matchings:per-step=false", **STEPS},
    "one-peer-exponential": {"topology": "one-peer-exponential", "weights": "data-size", **STEPS},
    "moving": {"topology": "random-waypoint:radius=0.6,speed=0.3", **STEPS},
    "directed": {"topology": "exponential:directed=true", **ONE_WAY},
    "directed-data-size": {"topology": "directed-ring", "weights": "data-size", **STEPS},
    "epidemic-local": {"topology": "epidemic-local:s=2", **ONE_WAY},
    "epidemic-oracle": {"topology": "epidemic-oracle:s=2", **STEPS},
    "eigenvector": {"topology": "random-out:s=2", **CORRECTED, **ONE_WAY},
    "eigenvector-losses": {"topology": "ring", **CORRECTED, **ONE_WAY, **LOSSY},
    "one-way-losses": {"topology": "complete", **ONE_WAY, "links": "bernoulli:up=0.6,one-way=true"},
    "one-way-reweight": {**REWEIGHT, "links": "gilbert-elliott:up=0.6,burst=2,one-way=true"},
    "push-sum": {"topology": "random-out:s=2", **PUSH, "consensus-gamma": 0.7},
    "push-sum-losses": {"topology": "complete", **PUSH, "links": "bernoulli:up=0.5,one-way=true"},
    "push-sum-epidemic": {"topology": "epidemic-local:s=1", **PUSH, **LOSSY},
    "reweight": {"topology": "complete", "links": "bernoulli:up=0.5", **REWEIGHT},
    "reweight-uniform": {"topology": "complete", "weights": "uniform", **LOSSY, **REWEIGHT},
    "reweight-data-size": {"topology": "ring", "weights": "data-size", **LOSSY, **REWEIGHT},
    "reweight-led": {"algorithm": "led", **LOSSY, **REWEIGHT},
    "reweight-matchings": {"topology": "random-matchings", **LOSSY, **REWEIGHT},
}


def serverless(scenario: Scenario, folder: Path) -> Outcome:
    """Run peers that know the schedule, and the addresses of all others."""
    keys, ports = scenario.keys(), free_ports(DEVICES)
    shared = ("algorithm", "consensus-steps", "consensus-gamma", "seed", "rounds")
    shared = (*shared, "topology", "weights", "links", "on-missing", "evaluate-every")
    common: dict[str, Any] = {
        **{key: keys[key] for key in shared},
        "num-devices": DEVICES,
        "app": "simulations.client_app:app",
        "insecure": True,
        "sync-steps": 12,  # links may be down then, too
        "linger": 10.0,
        "run-config": {**{k: v for k, v in keys.items() if k != "contenders"}, "strategy": "p2pl"},
    }
    nodes = {}
    for d in range(DEVICES):
        listed = {str(j): f"127.0.0.1:{ports[j]}" for j in range(DEVICES) if j != d}
        own = {"device": d, "listen": f"127.0.0.1:{ports[d]}", "neighbors": listed}
        nodes[d] = ServerlessPeer(Settings.of({**common, **own}))
    run_peers(nodes)
    kept = {d: node.endpoint.publications(node._run).own(MODEL)[0][1] for d, node in nodes.items()}
    rounds = [r for node in nodes.values() for r in node._metrics.rounds]
    return {d: from_publication(entry)[0] for d, entry in kept.items()}, rounds


@pytest.mark.parametrize(
    "engine",
    [
        "memory",
        pytest.param("file", marks=pytest.mark.slow),
        pytest.param("daemons", marks=pytest.mark.slow),
        pytest.param("serverless", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("case", CASES)
def test_engines_agree(case: str, engine: str, tmp_path: Path) -> None:
    scenario = Scenario.of({**KEYS, "seed": 4, **CASES[case]})
    models, rounds = in_swarm(scenario)
    if engine == "serverless":
        found, theirs = serverless(scenario, tmp_path)
    elif engine == "daemons":
        found, theirs = over_daemons(scenario, tmp_path)
    else:
        found, theirs = in_flower(scenario, {"memory": MemoryRelay, "file": FileRelay}[engine])
    for device, model in models.items():
        for array in model:
            apart = np.linalg.norm(found[device][array] - model[array])
            assert apart <= 1e-4 * np.linalg.norm(model[array]), (device, array, apart)
    assert sum(r.bytes_sent for r in theirs) == sum(r.bytes_sent for r in rounds)
