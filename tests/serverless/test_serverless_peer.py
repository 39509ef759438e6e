"""Peers without a server, as processes and as the command runs them."""

from __future__ import annotations

import networkx as nx
import numbers_app
import numpy as np
import pytest
from devices import ended, history, own_model, run_here, settings, start
from documents import pack
from flwr.app import ArrayRecord
from local_grid import LocalGrid

from p2pl_flower import P2PL, MemoryRelay, PeerApp
from p2pl_flower.relay.contents import MODEL, models_of
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.serverless.peer import ServerlessPeer
from p2pl_flower.serverless.reports import Report
from p2pl_flower.serverless.settings import Settings

pytestmark = pytest.mark.slow


class KeptRelay(MemoryRelay):
    """A relay whose models can still be looked at after the run."""

    def close(self, run: int) -> None:
        self.last = models_of(self.observe(run, MODEL))
        super().close(run)


def simulated(app, devices: int, run_config=None, **options):
    """Return every device's model after a run of P2PL in this process."""
    relay = KeptRelay()
    grid = LocalGrid(PeerApp.adopt(app, relay), devices)
    for context in grid.contexts.values():
        context.run_config.update(run_config or {})
    rounds = options.pop("rounds", 3)
    P2PL(num_devices=devices, relay=relay, **options).start(grid, ArrayRecord(), rounds)
    return relay.last


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weights": "data-size", "consensus_steps": 2, "consensus_gamma": 0.5},
        {"algorithm": "exact-diffusion", "evaluate_every": 2},
        {"weights": "uniform", "algorithm": "slowmo"},
        {"links": "bernoulli:up=0.6", "init": "independent", "evaluate_every": 0},
        {"max_norm_scope": "tensor", "consensus_steps": 0},
    ],
)
def test_the_same_models_as_under_the_strategy(tmp_path, options) -> None:
    graph = nx.cycle_graph(4)
    made = settings(graph, tmp_path, seed=3, linger=5, **options)
    run_here(made)
    expected = simulated(numbers_app.peer_app, 4, topology=graph, seed=3, **options)
    for device, values in made.items():
        ours = own_model(values)
        assert np.array_equal(ours["w"], expected[device]["w"])
        assert ours["steps"] == expected[device]["steps"] == 3


class StoppedError(Exception):
    """Ends a device as if it had been told to."""


def stop_after_two(report: Report) -> None:
    if report.measured.round == 2:
        raise StoppedError


def test_exact_diffusion_goes_on_as_if_it_had_not_been_stopped(tmp_path) -> None:
    """What the algorithm keeps beside the model is in the checkpoint: not a bit differs."""
    options = {"algorithm": "exact-diffusion", "rounds": 3, "seed": 3}
    for name in ("undisturbed", "stopped"):
        (tmp_path / name).mkdir()
    undisturbed = settings(nx.path_graph(3), tmp_path / "undisturbed", **options)
    run_here(undisturbed)
    stopped = settings(nx.path_graph(3), tmp_path / "stopped", **options)
    with pytest.raises(StoppedError):
        run_here(stopped, stop_after_two)
    assert [own_model(stopped[d])["steps"] for d in stopped] == [2, 2, 2]
    run_here(stopped)
    for d in stopped:
        ours, theirs = own_model(stopped[d]), own_model(undisturbed[d])
        assert ours["steps"] == theirs["steps"] == 3
        assert ours["w"].tobytes() == theirs["w"].tobytes()


def test_a_plain_client_app_is_given_its_start(tmp_path) -> None:
    graph = nx.path_graph(3)
    app = "numbers_app:plain_app"
    made = settings(graph, tmp_path, app=app, init_function="numbers_app:draw", rounds=2)
    run_here(made)
    expected = simulated(numbers_app.peer_app, 3, topology=graph, rounds=2)
    for device, values in made.items():
        assert np.array_equal(own_model(values)["w"], expected[device]["w"])


def test_one_file_can_start_them_all(tmp_path) -> None:
    pack({"w": np.zeros(1000), "steps": np.array(0)}).tofile(tmp_path / "start.safetensors")
    made = settings(nx.path_graph(2), tmp_path, app="numbers_app:plain_app", rounds=1)
    made[0]["initial-arrays"] = str(tmp_path / "start.safetensors")  # 1 is given it by 0
    run_here(made)
    # 0: 0 -> 0; 1: 0 -> 0.5; Metropolis with degree 1: halfway
    assert [own_model(made[d])["w"][0] for d in (0, 1)] == [0.25, 0.25]


def test_a_neighbors_nan_is_refused_and_the_others_go_on(tmp_path) -> None:
    made = settings(nx.complete_graph(3), tmp_path, rounds=2, run_config={"nan-at": 2}, linger=2)
    run_here(made)
    for device in (0, 1):
        assert np.isfinite(own_model(made[device])["w"]).all()
        [run] = history(tmp_path, device).runs
        assert run.setup["answers"]["2"]["not-finite"] == 2
        assert run.setup["answers"][str(1 - device)]["arrived"] > 0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"app": "numbers_app"}, "must look like package.module:name"),
        ({"app": "no_such_module:app"}, "app='no_such_module:app': cannot be imported"),
        ({"app": "numbers_app:nothing"}, "app='numbers_app:nothing': is not there"),
        ({"app": "numbers_app:no_app"}, "must be a flwr.clientapp.ClientApp or a PeerApp, not str"),
        ({"init-function": "numbers_app:no_app"}, "must be a function"),
        ({"app": "numbers_app:masked_app"}, "has the mod secaggplus_mod: secure aggregation masks"),
        ({"initial-arrays": "nowhere"}, "initial-arrays='nowhere': cannot be read"),
    ],
)
def test_what_cannot_be_loaded_is_named(tmp_path, change, complaint) -> None:
    values = settings(nx.path_graph(2), tmp_path)[0]
    with pytest.raises(ValueError, match=complaint.replace(".", r"\.")):
        ServerlessPeer(Settings.of({**values, **change}))


def test_peers_as_processes_with_certificates(tmp_path) -> None:
    """The command itself: TLS, a user's error that ends one device, and the others go on."""
    make_certificates(tmp_path / "certs", range(3))
    made = settings(
        nx.complete_graph(3),
        tmp_path,
        certificates=str(tmp_path / "certs"),
        rounds=3,
        waiting={"deadline": 6},
        linger=2,
    )
    made[2] |= {"run-config": {"fail-in": 3}, "on-failure": "raise"}
    processes = [start(values, tmp_path) for values in made.values()]
    codes = [ended(process, 120) for process in processes]
    logs = [(tmp_path / f"device-{d}.log").read_text() for d in range(3)]
    assert codes == [0, 0, 2], logs
    assert "device 2 failed at train.p2pl: ValueError: the user's own mistake" in logs[2]
    assert "Traceback" not in "".join(logs)
    assert "round   3" in logs[0]
    assert "models 2/2" in logs[0]
    assert "neighbor 2 is absent" in logs[0]
    [run] = history(tmp_path, 0).runs
    assert [r.round for r in run.rounds] == [1, 2, 3]
    assert run.setup["answers"]["2"]["absent"] == 1
