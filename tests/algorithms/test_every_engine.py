"""Every algorithm in every engine: all devices end with the same models, and send as much."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_grid import RUN_ID, LocalGrid

from p2pl_flower import P2PL, FileRelay, GrpcRelay, MemoryRelay, Relay
from p2pl_flower.algorithms import ALGORITHMS, Algorithm
from p2pl_flower.config import text_of
from p2pl_flower.history import Round
from p2pl_flower.named_arrays import Model
from p2pl_flower.relay.contents import MODEL, from_publication, models_of
from p2pl_flower.relay.daemon.server import LocalServer
from p2pl_flower.relay.grpc import Endpoint, Waiting
from p2pl_flower.serverless.cluster import free_ports
from p2pl_flower.serverless.peer import ServerlessPeer
from p2pl_flower.serverless.reports import Report
from p2pl_flower.serverless.settings import Settings
from simulations.client_app import make_client_app
from simulations.scenario import Scenario
from simulations.swarm_engine import make_swarm
from simulations.task import make_task
from strategies import contender

DEVICES = 4
KEYS: dict[str, Any] = {
    "dataset": "digits",
    "num-devices": DEVICES,
    "model": "logistic",
    "partition": "dirichlet:0.5",
    "topology": "ring",
    "consensus-steps": 2,
    "consensus-gamma": 0.8,
    "rounds": 3,
    "evaluate-every": 3,
    "seed": 3,
    "contenders": "p2pl",
}
PORTS: list[str] = []
NAMES = sorted({*ALGORITHMS.entries, "outside.Clipped", "outside.Tracking"})


Outcome = tuple[dict[int, Model], list[Round]]


@pytest.fixture(scope="module")
def swarm_outcomes() -> dict[str, Outcome]:
    return {}


def in_swarm(scenario: Scenario) -> Outcome:
    swarm = make_swarm(scenario, contender("p2pl"), lambda *_: None)
    rounds = swarm.run().rounds
    models = {d: {n: t.numpy() for n, t in swarm.stack.model(d).items()} for d in range(DEVICES)}
    return models, rounds


def expected(scenario: Scenario, known: dict[Algorithm, Outcome]) -> Outcome:
    """Return what the swarm makes of it, worked out once for each algorithm."""
    algorithm = scenario.options.algorithm
    if algorithm not in known:
        known[algorithm] = in_swarm(scenario)
    return known[algorithm]


def by_strategy(scenario: Scenario, relay: Relay, **nodes: Any) -> list[Round]:
    task = make_task(scenario)
    strategy = P2PL(
        scenario.topology,
        **contender("p2pl").options(task),
        evaluate_every=scenario.evaluate_every,
        num_devices=DEVICES,
        relay=relay,
    )
    grid = LocalGrid(make_client_app(lambda _: scenario, relay), DEVICES)
    for device, address in nodes.get("daemons", {}).items():
        grid.contexts[grid.node_of(device)].node_config["p2pl-relay"] = address
    strategy.start(grid, task.initial_arrays, scenario.rounds)
    assert not any(len(r.content.array_records) for r in grid.replies)
    return strategy.rounds


def in_flower(scenario: Scenario, kind: type[Relay]) -> Outcome:
    class Kept(kind):
        def close(self, run: int) -> None:
            self.last = models_of(self.observe(RUN_ID, MODEL))
            self.last = {d: {n: np.array(a) for n, a in m.items()} for d, m in self.last.items()}
            super().close(run)

    relay = Kept()
    rounds = by_strategy(scenario, relay)
    return relay.last, rounds


def over_daemons(scenario: Scenario, folder: Path) -> Outcome:
    """Run as over a SuperLink: ClientApps keep nothing, the relays beside them do."""
    endpoints = [Endpoint(d, "127.0.0.1:0", None, Waiting(deadline=20)) for d in range(DEVICES)]
    servers = [LocalServer(f"unix:{folder}/{d}.sock", e) for d, e in enumerate(endpoints)]
    for part in (*endpoints, *servers):
        part.start()
    try:
        daemons = {d: server.address for d, server in enumerate(servers)}
        rounds = by_strategy(scenario, GrpcRelay(), daemons=daemons)
        kept = {d: e.publications(str(RUN_ID)).own(MODEL)[0][1] for d, e in enumerate(endpoints)}
        return {d: from_publication(entry)[0] for d, entry in kept.items()}, rounds
    finally:
        for part in (*servers, *endpoints):
            part.close()


class StoppedError(Exception):
    """Ends a peer as if it had been told to."""


def serverless(scenario: Scenario, folder: Path) -> Outcome:
    """Run peers with no server; they stop after round 2, and go on from their checkpoints."""
    made = {d: Settings.of(peer_keys(scenario, folder, d)) for d in range(DEVICES)}

    def stop(report: Report) -> None:
        if report.measured.round == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        run_peers({d: ServerlessPeer(settings, stop) for d, settings in made.items()})
    nodes = {d: ServerlessPeer(settings) for d, settings in made.items()}
    run_peers(nodes)
    kept = {d: node.endpoint.publications(node._run).own(MODEL)[0][1] for d, node in nodes.items()}
    rounds = [r for node in nodes.values() for r in node._metrics.rounds]
    return {d: from_publication(entry)[0] for d, entry in kept.items()}, rounds


def peer_keys(scenario: Scenario, folder: Path, device: int) -> dict[str, Any]:
    keys = scenario.keys()
    shared = ["algorithm", "consensus-steps", "consensus-gamma", "seed", "rounds"]
    shared += ["codec", "codec-memory"]
    ring = sorted({(device - 1) % DEVICES, (device + 1) % DEVICES})
    return {
        **{key: keys[key] for key in shared},
        "evaluate-every": scenario.evaluate_every,
        "device": device,
        "num-devices": DEVICES,
        "listen": PORTS[device],
        "neighbors": {str(j): PORTS[j] for j in ring},
        "app": "simulations.client_app:app",
        "insecure": True,
        "sync-steps": 2,
        "linger": 10.0,
        "checkpoint": str(folder / f"device-{device}"),
        "run-config": {**{k: v for k, v in keys.items() if k != "contenders"}, "strategy": "p2pl"},
    }


def run_peers(nodes: dict[int, ServerlessPeer]) -> None:
    gc.freeze()  # peers collect garbage after every message: spare them what is loaded already
    try:
        with ThreadPoolExecutor(len(nodes)) as pool:
            list(pool.map(lambda node: node.run(), nodes.values()))
    finally:
        gc.unfreeze()
        for node in nodes.values():
            node.close()


@pytest.mark.parametrize("mixing", ["clipped-gossip", "trimmed-mean:share=0.3", "median", "krum"])
@pytest.mark.parametrize("algorithm", ["p2pl", "slowmo"])
def test_mixing_rules_give_the_same_models(mixing: str, algorithm: str) -> None:
    scenario = Scenario.of({**KEYS, "mixing": mixing, "algorithm": algorithm})
    models, rounds = in_flower(scenario, MemoryRelay)
    found, measured = in_swarm(scenario)
    for device in range(DEVICES):
        for array, tensor in zip(models[device].values(), found[device].values(), strict=True):
            np.testing.assert_allclose(array, tensor, atol=1e-4)
    assert [r.bytes_sent for r in rounds] == [r.bytes_sent for r in measured]


@pytest.mark.parametrize(
    "engine",
    [
        "memory",
        "file",
        pytest.param("daemons", marks=pytest.mark.slow),
        pytest.param("serverless", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_all_engines_agree(name, engine, tmp_path, swarm_outcomes, monkeypatch) -> None:
    scenario = Scenario.of({**KEYS, "algorithm": name})
    models, rounds = expected(scenario, swarm_outcomes)
    if engine == "serverless":
        ports = free_ports(DEVICES)
        monkeypatch.setattr(f"{__name__}.PORTS", [f"127.0.0.1:{port}" for port in ports])
        found, theirs = serverless(scenario, tmp_path)
    elif engine == "daemons":
        found, theirs = over_daemons(scenario, tmp_path)
    else:
        kind = {"memory": MemoryRelay, "file": FileRelay}[engine]
        found, theirs = in_flower(scenario, kind)
    for device, model in models.items():
        for array in model:
            apart = np.linalg.norm(found[device][array] - model[array])
            assert apart <= 1e-4 * np.linalg.norm(model[array]), (device, array, apart)
    sent = sum(r.bytes_sent for r in theirs)
    assert sent == sum(r.bytes_sent for r in rounds)


@pytest.mark.parametrize("name", NAMES)
def test_devices_that_agree_stay_as_they_are(name) -> None:
    """Consensus is a fixed point: without training, equal models do not move."""
    algorithm = ALGORITHMS.make(name)
    model = {"w": np.arange(3.0), "b": np.array(1.0)}
    state = algorithm.start(model, ())
    for _ in range(3):
        begun, correction, state = algorithm.before_training(model, state)
        assert not any(np.any(c) for c in (correction or {}).values())
        sent, state = algorithm.after_training(begun, state)
        mixed = algorithm.combine(sent, {1: sent, 2: sent}, {1: 0.3, 2: 0.4}, 0.7)
        after, state = algorithm.after_mixing(sent, mixed, state, 0.7)
        assert all(np.array_equal(after[n], model[n]) for n in model)
        assert list(after) == list(model)


@pytest.mark.parametrize("name", NAMES)
def test_hooks_change_nothing_that_they_are_given(name) -> None:
    algorithm = ALGORITHMS.make(name)

    def frozen(arrays):
        arrays = {n: np.array(a) for n, a in arrays.items()}
        for array in arrays.values():
            array.flags.writeable = False
        return arrays

    model, trained = frozen({"w": np.ones(3)}), frozen({"w": np.arange(3.0)})
    state = {part: frozen(a) for part, a in algorithm.start(model, ()).items()}
    _, _, state = algorithm.before_training(model, state)
    sent, state = algorithm.after_training(trained, {p: frozen(a) for p, a in state.items()})
    sent = frozen(sent)
    mixed = frozen(algorithm.combine(sent, {1: sent}, {1: 0.5}, 1.0))
    algorithm.after_mixing(sent, mixed, {p: frozen(a) for p, a in state.items()}, 1.0)
    assert trained["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", NAMES)
def test_the_text_of_an_algorithm_makes_an_equal_one(name) -> None:
    algorithm = ALGORITHMS.make(name)
    assert ALGORITHMS.make(text_of(algorithm, ALGORITHMS)) == algorithm
    assert type(algorithm).__doc__
