"""Several runs after each other, in one server app and in one process: none knows of the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flwr.serverapp.strategy import FedAvg
from local_grid import RUN_ID, LocalGrid
from toy_app import START, add_functions, values

from p2pl_flower import P2PL, FileRelay, GrpcRelay, MemoryRelay, PeerApp, Relay
from p2pl_flower.relay import Mailbox
from p2pl_flower.relay.daemon.server import LocalServer
from p2pl_flower.relay.grpc import Endpoint, Waiting

DEVICES = 3


class Daemons(GrpcRelay):
    """The relays of all SuperNodes as one: they go on running from run to run."""

    def __init__(self, servers: list[LocalServer], addresses: list[str]) -> None:
        super().__init__()
        self.servers, self.addresses = servers, addresses

    def at(self, node_config: Any) -> Relay:
        return _At(self, int(node_config["partition-id"]))

    def mailbox(self, run: int, device: int) -> Mailbox:
        return super().at({"p2pl-relay": self.servers[device].address}).mailbox(run, device)


class _At(GrpcRelay):
    def __init__(self, every: Daemons, device: int) -> None:
        super().__init__()
        self.every, self.device = every, device

    def address(self) -> str:
        return self.every.addresses[self.device]

    def mailbox(self, run: int, device: int) -> Mailbox:
        return self.every.mailbox(run, device)


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Relay]:
    endpoints = [Endpoint(d, "127.0.0.1:0", None, Waiting(deadline=5)) for d in range(DEVICES)]
    servers = [LocalServer(f"unix:{tmp_path}/{d}.sock", e) for d, e in enumerate(endpoints)]
    for part in (*endpoints, *servers):
        part.start()
    yield Daemons(servers, [endpoint.address for endpoint in endpoints])
    for part in (*servers, *endpoints):
        part.close()


@pytest.fixture(params=["memory", "file", pytest.param("grpc", marks=pytest.mark.slow)])
def relay(request: pytest.FixtureRequest, tmp_path: Path) -> Relay:
    if request.param == "grpc":
        return request.getfixturevalue("daemons")
    return MemoryRelay() if request.param == "memory" else FileRelay(tmp_path)


def app_of(relay: Relay) -> PeerApp:
    app = PeerApp(relay=relay)
    add_functions(app)
    return app


def strategy_of(relay: Relay, algorithm: str = "exact-diffusion") -> P2PL:
    options = {"consensus_steps": 2, "num_devices": DEVICES, "connect_timeout": 0.1}
    return P2PL("ring", algorithm=algorithm, relay=relay, result="mean", **options)


def measured(strategy: P2PL, grid: LocalGrid, rounds: int = 2) -> tuple[Any, ...]:
    result = strategy.start(grid, START, rounds)
    scores = [(r.round, r.after_training, r.after_consensus) for r in strategy.rounds]
    return scores, [r.bytes_sent for r in strategy.rounds], values(result.arrays)["w"].tolist()


def test_strategies_in_one_server_app(relay: Relay) -> None:
    grid = LocalGrid(app_of(relay), DEVICES)
    first = measured(strategy_of(relay), grid)
    assert measured(strategy_of(relay), grid) == first
    plain = measured(strategy_of(relay, "p2pl"), grid)
    assert plain != first
    assert measured(strategy_of(relay), grid) == first
    assert measured(strategy_of(relay, "p2pl"), grid) == plain


def test_one_strategy_started_again(relay: Relay) -> None:
    grid, strategy = LocalGrid(app_of(relay), DEVICES), strategy_of(relay)
    first = measured(strategy, grid)
    assert measured(strategy, grid) == first
    assert [r.round for r in strategy.rounds] == [1, 2]


def test_between_runs_of_fedavg(relay: Relay) -> None:
    grid = LocalGrid(app_of(relay), DEVICES)
    central = FedAvg(min_available_nodes=DEVICES).start(grid, START, 1)
    expected = measured(strategy_of(relay), LocalGrid(app_of(relay), DEVICES))
    assert measured(strategy_of(relay), grid) == expected
    again = FedAvg(min_available_nodes=DEVICES).start(grid, START, 1)
    assert values(again.arrays)["w"].tolist() == values(central.arrays)["w"].tolist()


def test_apps_in_one_process(relay: Relay) -> None:
    """With run ids of their own, and one relay between them."""

    class Another(LocalGrid):
        """The same nodes in another run."""

        @property
        def run(self) -> Any:
            found = super().run
            found.run_id = RUN_ID + 1
            return found

    first = measured(strategy_of(relay), LocalGrid(app_of(relay), DEVICES))
    other = Another(app_of(relay), DEVICES)
    for context in other.contexts.values():
        context.run_id = RUN_ID + 1
    assert measured(strategy_of(relay), other) == first
