"""P2PL and FedAvg on Flower's own Ray simulation, with real worker processes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg, Result
from test_strategy import by_hand
from toy_app import START, add_functions, device, values

from p2pl_flower import P2PL, PeerApp, RayRelay
from p2pl_flower.errors import DeviceError, RelayError

pytestmark = pytest.mark.slow

pytest.importorskip("ray")

DEVICES = 6


def simulate(app: PeerApp, server: Callable[[Grid], None]) -> None:
    from flwr.simulation import run_simulation

    logging.getLogger("flwr").setLevel(logging.ERROR)
    server_app = ServerApp()

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        server(grid)

    run_simulation(
        server_app=server_app,
        client_app=app,
        num_supernodes=DEVICES,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"num_cpus": 2, "log_to_driver": False},
        },
    )


@pytest.mark.parametrize("relay", [None, RayRelay], ids=["file", "ray"])
def test_p2pl_and_fedavg_with_the_same_app(relay: Any) -> None:
    make_relay = relay or (lambda: None)
    app = PeerApp(relay=make_relay())
    add_functions(app)
    results: dict[str, Result] = {}
    options = {"num_devices": DEVICES, "relay": make_relay(), "init": "shared"}
    strategy = P2PL("ring", **options)
    corrected = P2PL("ring", algorithm="exact-diffusion", **options)

    def server(grid: Grid) -> None:
        results["p2pl"] = strategy.start(grid, START, 2, timeout=60)
        results["exact"] = corrected.start(grid, START, 2, timeout=60)
        results["fedavg"] = FedAvg(min_available_nodes=DEVICES).start(grid, START, 2, timeout=60)

    simulate(app, server)
    expected = by_hand(nx.cycle_graph(DEVICES), 2)
    assert values(results["p2pl"].arrays)["w"] == pytest.approx([expected.mean()] * 2)
    assert [r.after_consensus.loss.max for r in strategy.rounds] == pytest.approx(
        [by_hand(nx.cycle_graph(DEVICES), n).max() for n in (1, 2)]
    )
    assert [r.after_consensus.loss.max for r in corrected.rounds] == pytest.approx(
        [w.max() for w in exact_diffusion_by_hand(2)]
    )
    shares = np.arange(1, DEVICES + 1) / np.arange(1, DEVICES + 1).sum()
    average = 0.0
    for _ in range(2):
        average = float(shares @ (0.5 * (average + np.arange(DEVICES))))
    assert values(results["fedavg"].arrays)["w"] == pytest.approx([average] * 2)


def exact_diffusion_by_hand(rounds: int) -> list[np.ndarray]:
    """Return the models after each round: training goes half of the way to the device's id."""
    ring = nx.to_numpy_array(nx.cycle_graph(DEVICES)) / 3
    mixing = (np.eye(DEVICES) + ring + np.diag(1 - ring.sum(1))) / 2
    w = psi = np.zeros(DEVICES)
    seen = []
    for _ in range(rounds):
        trained = 0.5 * (w + np.arange(DEVICES))
        w, psi = mixing @ (trained + w - psi), trained
        seen.append(w)
    return seen


def test_a_client_function_that_raises_ends_the_run() -> None:
    def fail(message: Any, context: Context) -> None:
        if device(context) == 2:
            raise ValueError("the label file has 9 columns")

    app = PeerApp()
    add_functions(app, fail=fail)
    started = time.monotonic()
    with pytest.raises(DeviceError, match=r"device 2 failed at train.p2pl: .*has 9 columns$"):
        simulate(app, lambda grid: P2PL("ring", on_failure="raise").start(grid, START, 3) and None)
    assert time.monotonic() - started < 90


def test_relays_must_match() -> None:
    app = PeerApp()  # on one machine: files
    add_functions(app)
    with pytest.raises((DeviceError, RelayError), match="FileRelay is not open"):
        simulate(app, lambda grid: P2PL("ring", relay=RayRelay()).start(grid, START, 1) and None)
