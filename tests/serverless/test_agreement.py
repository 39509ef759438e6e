"""Devices know, and say, whether they start from the same initial model."""

from __future__ import annotations

import logging
import threading

import networkx as nx
import numbers_app
import numpy as np
import pytest
from devices import own_model, run_here, settings, setup_of
from documents import pack
from flwr.app import ArrayRecord, Context, RecordDict

from p2pl_flower.errors import DeviceError
from p2pl_flower.flower.messages import to_model
from p2pl_flower.seeding import Stream, derive
from p2pl_flower.serverless.agreement import Agreement, InitialModel
from p2pl_flower.serverless.peer import ServerlessPeer
from p2pl_flower.serverless.reports import Report
from p2pl_flower.serverless.settings import Settings

pytestmark = pytest.mark.slow

SEED = 3


@pytest.fixture(autouse=True)
def heard(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("flwr.p2pl"), "propagate", True)
    caplog.set_level(logging.INFO, "flwr.p2pl")
    return caplog


def strongest(devices) -> int:
    """Return the one of several devices that draws the model with the largest norm."""
    context = Context(1, 1, {}, RecordDict(), {})
    seeds = {d: derive(SEED, Stream.INIT, d) for d in devices}
    drawn = {d: to_model(numbers_app.draw(context, seed))["w"] for d, seed in seeds.items()}
    return max(drawn, key=lambda d: np.linalg.norm(drawn[d]))


def warnings(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if "starts from the initial" in r.getMessage()]


def test_too_few_steps_are_said_by_the_devices_that_see_it(tmp_path, heard) -> None:
    graph = nx.path_graph(5)
    run_here(settings(graph, tmp_path, seed=SEED, sync_steps=1, rounds=1))
    expected = {d: strongest([d, *graph[d]]) for d in graph}
    assert len(set(expected.values())) > 1  # otherwise this tries nothing
    for d in graph:
        setup = setup_of(tmp_path, d)
        apart = [j for j in sorted(graph[d]) if expected[j] != expected[d]]
        assert setup["initial_model_of"] == [expected[d]]
        assert setup["agrees"] is (not apart)
        assert setup.get("disagrees_with", []) == apart
        said = [w for w in warnings(heard) if w.startswith(f"device {d} ")]
        assert len(said) == bool(apart)
        if apart:
            j = apart[0]
            assert f"device {d} starts from the initial model of device {expected[d]}" in said[0]
            assert f"neighbor {j} from that of device {expected[j]}" in said[0]
            assert "sync-steps of at least the graph's diameter" in said[0]


@pytest.mark.parametrize("scope", ["model", "tensor"])
def test_devices_that_agree_say_so_in_the_history_alone(tmp_path, heard, scope) -> None:
    graph = nx.path_graph(4)
    run_here(settings(graph, tmp_path, seed=SEED, rounds=1, max_norm_scope=scope))
    for d in graph:
        assert setup_of(tmp_path, d)["initial_model_of"] == [strongest(graph)]
        assert setup_of(tmp_path, d)["agrees"] is True
    assert warnings(heard) == []


def test_one_model_everywhere_agrees_whoever_is_said_to_have_drawn_it(tmp_path, heard) -> None:
    pack({"w": np.ones(1000), "steps": np.array(0)}).tofile(tmp_path / "start.safetensors")
    start = {"app": "numbers_app:plain_app", "initial_arrays": str(tmp_path / "start.safetensors")}
    run_here(settings(nx.path_graph(4), tmp_path, sync_steps=1, rounds=1, **start))
    assert [setup_of(tmp_path, d)["agrees"] for d in range(4)] == [True] * 4
    assert warnings(heard) == []


def test_devices_that_are_to_differ_are_not_warned_of(tmp_path, heard) -> None:
    run_here(settings(nx.path_graph(2), tmp_path, init="independent", rounds=1))
    for d in range(2):
        assert setup_of(tmp_path, d)["initial_model_of"] == [d]
        assert "agrees" not in setup_of(tmp_path, d)
    assert warnings(heard) == []


def late(made, device: int, rounds_before: int) -> None:
    """Run all devices, one of which begins only when its neighbors have ended some rounds."""
    begun = threading.Event()

    def on_round(report: Report) -> None:
        if report.measured.round == rounds_before:
            begun.set()

    def run(d: int) -> None:
        if d == device:
            assert begun.wait(60)
        peer = ServerlessPeer(Settings.of(made[d]), None if d == device else on_round)
        try:
            peer.run()
        except Exception as error:
            failed.append(error)
        finally:
            peer.close()

    failed: list[Exception] = []
    threads = [threading.Thread(target=run, args=(d,)) for d in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


LATE = {
    "start": 0.5,
    "waiting": {"deadline": 1.0, "grace": 0.1},
    "run_config": {"seconds": 0.1},
    "rounds": 8,
    "seed": SEED,
}


@pytest.mark.parametrize("algorithm", ["p2pl", "exact-diffusion"])
def test_who_begins_late_starts_from_a_neighbors_model_and_its_origin(
    tmp_path, heard, algorithm
) -> None:
    made = settings(nx.path_graph(3), tmp_path, algorithm=algorithm, **LATE)
    late(made, device=2, rounds_before=2)
    setup = setup_of(tmp_path, 2)
    assert setup["model_from"] == 1
    assert setup["initial_model_of"] == setup_of(tmp_path, 1)["initial_model_of"]
    assert setup["agrees"] is True
    assert setup["skipped_rounds"]
    assert list(own_model(made[2])) == ["w", "steps"]


def test_a_start_that_nobody_hands_over_is_said(tmp_path, heard, monkeypatch) -> None:
    from p2pl_flower.serverless.starting import Start

    monkeypatch.setattr(Start, "_adopt", lambda *_: False)
    made = settings(nx.path_graph(2), tmp_path, **{**LATE, "rounds": 15})
    late(made, device=1, rounds_before=1)
    [said] = [r.getMessage() for r in heard.records if "begins late" in r.getMessage()]
    assert "device 1 begins late, and none of its neighbors 0 handed over a model" in said
    assert "start it again without its checkpoint" in said
    setup = setup_of(tmp_path, 1)
    assert setup["model_from"] is None
    assert (setup["initial_model_of"], setup["agrees"]) == ([1], False)
    assert any(w.startswith("device 1 ") for w in warnings(heard))


def test_what_is_known_survives_a_checkpoint() -> None:
    model = {"w": np.arange(3.0)}
    before, after = Agreement(1), Agreement(1)
    before.own = InitialModel.of(model, [4, 4, 2])
    before.hear({0: InitialModel.of({"w": np.arange(4.0)}, [0]), 2: before.own})
    after.restore(before.to_json())
    assert after.to_setup() == before.to_setup()
    assert after.to_setup()["initial_model_of"] == [2, 4]
    assert after.apart() == [0]
    assert InitialModel.from_arrays(before.own.to_arrays()) == before.own
    for nonsense in (None, 3, {}, {"digest": 3, "origins": []}, {"digest": "a", "origins": ["x"]}):
        assert InitialModel.from_json(nonsense) is None


def test_all_draw_from_the_runs_seed_and_send_nothing_for_it(tmp_path) -> None:
    made = settings(nx.path_graph(3), tmp_path, init="seed", seed=SEED, rounds=1)
    run_here(made)
    for device in made:
        setup = setup_of(tmp_path, device)
        assert (setup["synchronization_steps"], setup["bytes_sent"]) == (0, 0)
        assert (setup["initial_model_of"], setup["agrees"]) == ([], True)


def by_device(context: Context, seed: int) -> ArrayRecord:
    return numbers_app.draw(context, seed + int(context.node_config["partition-id"]))


def test_draws_that_depend_on_the_device_are_told(tmp_path, caplog) -> None:
    drawing = f"{__name__}:by_device"
    app = {"app": "numbers_app:plain_app", "init_function": drawing}
    run_here(settings(nx.path_graph(2), tmp_path, init="seed", rounds=1, **app))
    assert "its own draw from the run's seed" in caplog.text
    assert "must draw all of a model from the seed that it is given" in caplog.text
    assert setup_of(tmp_path, 0)["disagrees_with"] == [1]


def test_a_device_that_draws_nothing_cannot_start_from_a_seed(tmp_path) -> None:
    made = settings(nx.path_graph(2), tmp_path, init="seed", app="numbers_app:plain_app")
    with pytest.raises(DeviceError, match="draws no initial model, which init='seed' takes"):
        run_here(made)
