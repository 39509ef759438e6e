"""The sample projects under both strategies, in one process: what the four lines change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flower_projects
import numpy as np
import pytest
from flower_projects import NAMES
from flwr.app import Context, RecordDict
from local_grid import RUN_ID, LocalGrid

from p2pl_flower import MemoryRelay, PeerApp
from p2pl_flower.named_arrays import Model
from p2pl_flower.relay.contents import MODEL, models_of
from p2pl_flower.relay.entries import RunEntries

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

DEVICES = 3
# Sums over other orders and threads; Flower's legacy arrays warn of what they will become.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class KeptRelay(MemoryRelay):
    """A relay whose models can still be looked at after the run."""

    last: dict[int, Model]
    public: dict[int, Model]

    def close(self, run: int) -> None:
        entries = RunEntries(self, run)
        if entries.is_open():
            self.last = models_of(self.observe(run, MODEL))
            newest = {d: entries.index(d)[MODEL][-1] for d in entries.devices()}
            self.public = {d: entries.public(d, slot) for d, slot in newest.items()}
        super().close(run)


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> KeptRelay:
    """Let P2PL and PeerApp share a relay that can be looked into."""
    kept = KeptRelay()
    monkeypatch.setattr("p2pl_flower.relay.AutoRelay", lambda: kept)
    monkeypatch.chdir(tmp_path)  # where projects save their models
    torch.set_num_threads(1)
    return kept


def run(
    name: str,
    peer_to_peer: bool,
    changes: Callable[[str], str] = lambda text: text,
    watch: Callable[[Any], None] = lambda apps: None,
) -> LocalGrid:
    """Run a project; ``changes`` edits its server app's source, ``watch`` gets its apps."""
    folder = flower_projects.copy(name, Path.cwd(), peer_to_peer)
    [server] = folder.glob("*/server_app.py")
    server.write_text(changes(server.read_text(encoding="utf-8")), encoding="utf-8")
    with flower_projects.loaded(folder) as apps:
        watch(apps)
        grid = LocalGrid(apps.client, DEVICES, run_config=apps.config)
        apps.server(grid, Context(RUN_ID, 1, {}, RecordDict(), apps.config))
    return grid


@pytest.mark.parametrize("name", NAMES)
def test_the_change_is_four_lines_at_most(name: str) -> None:
    lines = (flower_projects.FOLDER / name / "p2p.diff").read_text(encoding="utf-8").splitlines()
    added = [line for line in lines if line.startswith("+") and not line.startswith("+++")]
    removed = [line for line in lines if line.startswith("-") and not line.startswith("---")]
    assert 2 <= len(added) <= 4
    assert len(removed) <= 4
    assert sum("p2pl_flower" in line for line in added) == 2


def test_all_ten_kinds_are_there() -> None:
    assert len(NAMES) == 10


def test_of_a_transformer_with_adapters_only_these_are_mixed(relay: KeptRelay) -> None:
    peers = run("lora", peer_to_peer=True)
    for model in relay.last.values():
        assert model
        assert all("lora_" in name or "classifier" in name for name in model)
    assert any("lora_A" in name for name in relay.last[0])
    assert not any(len(reply.content.array_records) for reply in peers.replies)


@pytest.mark.parametrize("name", NAMES)
def test_every_project_runs_under_both_strategies(name: str, relay: KeptRelay) -> None:
    federated = run(name, peer_to_peer=False)
    assert len(federated.contexts) == DEVICES
    assert not [r for r in federated.replies if r.has_error()]
    assert not hasattr(relay, "last")  # FedAvg has no use for it
    seen: list[bool] = []
    peers = run(name, True, watch=lambda apps: seen.append(isinstance(apps.client, PeerApp)))
    assert seen == [True]
    assert [kind for kind, _, _ in peers.log].count("train.p2pl") == 2 * DEVICES
    assert sorted(relay.last) == [0, 1, 2]
    for model in relay.last.values():
        assert all(np.isfinite(array).all() for array in model.values())


def as_fedavg(text: str) -> str:
    """Let P2PL do what FedAvg does: each device averages all models, weighted by samples."""
    changed = text.replace('"ring")', '"complete", weights="data-size", init="shared")')
    assert changed != text
    return changed


def saved_torch() -> list[np.ndarray]:
    return [t.numpy() for t in torch.load("final_model.pt").values()]


def saved_sklearn() -> list[np.ndarray]:
    import joblib

    model = joblib.load("logreg_model.pkl")
    return [model.coef_, model.intercept_]


@pytest.mark.parametrize(("name", "saved"), [("pytorch", saved_torch), ("sklearn", saved_sklearn)])
def test_p2pl_on_the_complete_graph_equals_fedavg(name: str, saved: Any, relay: KeptRelay) -> None:
    run(name, peer_to_peer=False)
    averaged = saved()
    run(name, peer_to_peer=True, changes=as_fedavg)
    assert_equal(saved(), averaged)
    assert sum(np.abs(array).sum() for array in averaged) > 1


def test_p2pl_equals_fedavg_for_numpy_clients_too(
    relay: KeptRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flwr.common import parameters_to_ndarrays
    from flwr.server.strategy import FedAvg

    results: list[list[np.ndarray]] = []
    aggregate_fit = FedAvg.aggregate_fit

    def noted(self, *args: Any) -> Any:
        parameters, metrics = aggregate_fit(self, *args)
        results.append(parameters_to_ndarrays(parameters))
        return parameters, metrics

    monkeypatch.setattr(FedAvg, "aggregate_fit", noted)
    run("numpy-client", peer_to_peer=False)
    assert len(results) == 2
    run("numpy-client", peer_to_peer=True, changes=as_fedavg)
    assert len(results) == 2
    mean = [
        np.mean([list(m.values())[i] for m in relay.last.values()], axis=0)
        for i in range(len(results[-1]))
    ]
    assert_equal(mean, results[-1])


def assert_equal(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        assert our.shape == their.shape
        np.testing.assert_allclose(our, their, rtol=0, atol=1e-5)


def test_what_neighbors_receive_is_clipped_and_noised(relay: KeptRelay) -> None:
    """With hardly any room for an update, all that is left of one is the noise."""
    source: dict[str, Any] = {}

    def tighten(apps: Any) -> None:
        mod = apps.client._registered_funcs["train.default"]
        source["mod"] = mod
        module = __import__("sys").modules["dpexample.client_app"]
        module.local_dp.clipping_norm, module.local_dp.sensitivity = 1e-6, 0.1

    grid = run("local-dp", True, watch=tighten)
    trained = relay.public[0]
    start = next(c["arrays"] for k, d, c in grid.log if k == "query.p2pl_init" and d == 0)
    deviation = 0.1 * np.sqrt(2 * np.log(1.25 / 1e-5)) / 10.0
    apart = np.concatenate(
        [(trained[name] - array.numpy()).ravel() for name, array in start.items()]
    )
    # two rounds of independent noise on three devices, mixed by a third each time
    expected = deviation * np.sqrt(1 / 3 + 1 / 3)
    assert apart.std() == pytest.approx(expected, rel=0.1)


def test_a_head_in_the_clients_state_stays_there(relay: KeptRelay) -> None:
    grid = run("personal-head", peer_to_peer=True)
    assert all(not name.startswith(("head", "weight")) for name in relay.last[0])
    heads = [context.state["head"]["weight"].numpy() for context in grid.contexts.values()]
    assert not np.allclose(heads[0], heads[1])
    assert [c.state["progress"]["rounds"] for c in grid.contexts.values()] == [2] * DEVICES
    shown = [name for r in grid.replies if r.has_content() for name in r.content.array_records]
    assert shown == []


def test_schedule_aggregation_and_result(relay: KeptRelay) -> None:
    grid = run("schedule", peer_to_peer=True)
    rates = [c["config"]["lr"] for k, d, c in grid.log if k == "train.p2pl" and d == 0]
    assert rates == [0.1, 0.05]
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert list(report["central"]) == ["0", "1", "2"]
    assert report["final"]["accuracy"] == pytest.approx(report["central"]["2"]["accuracy"])
    assert report["clients"]["2"]["worst"] <= report["clients"]["2"]["mean"]
    mean = np.mean([m["fc2.bias"] for m in relay.last.values()], axis=0)
    assert torch.load("final_model.pt")["fc2.bias"].numpy() == pytest.approx(mean, abs=1e-6)


def test_batchnorm_statistics_are_mixed_and_counters_are_not(relay: KeptRelay) -> None:
    grid = run("batchnorm", peer_to_peer=True)
    counts = [
        reply.content["metrics"]["num-examples"]
        for reply in grid.replies
        if reply.has_content() and "train_loss" in reply.content.get("metrics", {})
    ]
    seen = {d: int(m["samples_seen"]) for d, m in relay.last.items()}
    assert sum(seen.values()) == sum(counts)  # of both rounds; nothing was averaged
    assert {int(m["bn1.num_batches_tracked"]) for m in relay.last.values()} == {30}
    public = relay.public[0]
    assert "bn1.running_mean" in public
    assert not {"samples_seen", "bn1.num_batches_tracked"} & set(public)


def test_a_strategy_class_with_a_start_of_its_own_does_what_it_did(relay: KeptRelay) -> None:
    grid = run("own-strategy", peer_to_peer=True)
    report = json.loads(Path("strategy_report.json").read_text(encoding="utf-8"))
    assert report["replies"] == [DEVICES] * 2  # aggregate_train counts
    rates = [c["config"]["lr"] for k, d, c in grid.log if k == "train.p2pl" and d == 0]
    assert rates == [0.5, 0.25]  # the mixin's configure_train
    found = [report["clients"][n]["accuracy"] for n in ("1", "2")]  # aggregate_evaluate's own mean
    assert report["best"] == max(found) > 0.8
    assert report["clients"]["2"]["clients"] == DEVICES
    best = np.load("best_model.npz")
    means = {n: np.mean([m[n] for m in relay.last.values()], axis=0) for n in best.files}
    assert found[1] > found[0]  # so that the best model is that of the last round
    assert {n: best[n] for n in best.files} == {n: pytest.approx(means[n]) for n in means}


def test_no_model_that_is_returned_and_no_state_that_is_replaced_goes_astray(
    relay: KeptRelay,
) -> None:
    grid = run("own-strategy", peer_to_peer=True)
    shown = [r for r in grid.replies if r.has_content() and len(r.content.array_records)]
    assert shown == []  # evaluate returns its arrays
    for context in grid.contexts.values():  # the client's own record, and nothing else
        assert {name: dict(record) for name, record in context.state.items()} == {
            "history": {"rounds": 2}
        }


def test_metrics_of_every_type_and_a_client_that_does_not_evaluate(relay: KeptRelay) -> None:
    reported = {}
    for peer_to_peer in (False, True):
        run("mixed-clients", peer_to_peer)
        reported[peer_to_peer] = json.loads(Path("fit_metrics.json").read_text(encoding="utf-8"))
    federated, peers = reported[False], reported[True]
    assert peers[0] == federated[0]  # all start from one client's parameters, and train alike
    for told in peers:
        assert [m["name"] for m in told] == ["client-0", "client-1", "client-2"]
        assert [m["evaluates"] for m in told] == [False, True, True]
        assert all(len(m["digest"]) == 64 and m["largest"] > 0 for m in told)
    assert relay.last[0].keys() == relay.last[1].keys()
    assert sum(np.abs(array).sum() for array in relay.last[0].values()) > 1
