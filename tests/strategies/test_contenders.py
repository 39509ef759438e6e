"""Every contender runs on the same task, and is what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import MetricRecord
from local_grid import LocalGrid
from toy_app import START, make_app, values

from p2pl_flower import Options
from p2pl_flower.algorithms.codecs import CODECS
from p2pl_flower.errors import ConfigError
from strategies import Task, contender, contenders

K = 4


def task(**changes) -> Task:
    options = {"weights": "metropolis"}
    given = {
        "devices": K,
        "rounds": 3,
        "evaluate_every": 2,
        "topology": "ring",
        "options": options,
        "seed": 1,
        "initial_arrays": START,
        "evaluate": lambda arrays: MetricRecord(
            {"accuracy": 0.5, "loss": float(values(arrays)["w"][0])}
        ),
    }
    return Task(**{**given, **changes})


def run(name: str, monkeypatch: pytest.MonkeyPatch, **changes):
    app, relay = make_app(draws=True)
    monkeypatch.setattr("p2pl_flower.relay.AutoRelay", lambda: relay)
    chosen = contender(name)
    return chosen.run(LocalGrid(app, chosen.devices(K)), task(**changes))


def test_all_files_are_found() -> None:
    assert contenders().keys() == {"p2pl", "dsgd", "fedavg", "centralized", "local"}
    assert contender("p2pl-affinity:strength=0.2").name == "p2pl-affinity:strength=0.2"
    with pytest.raises(ConfigError, match=r"contenders='p2pl-affinity:s=1': unknown parameter 's'"):
        contender("p2pl-affinity:s=1")
    with pytest.raises(ConfigError, match="contenders='gossip': unknown name; choose one of: c"):
        contender("gossip")


def test_a_contender_may_have_a_codec_and_a_memory() -> None:
    made = contender("led:strength=0.5@top-k:fraction=0.2+int8@public-copies")
    assert made.name == "led:strength=0.5@top-k:fraction=0.2+int8@public-copies"
    options = Options(**made.options(task(options={"codec": "float16"})))
    assert options.codec == CODECS.make("top-k:fraction=0.2+int8")
    assert (options.codec_memory, options.algorithm.name) == ("public-copies", "led")
    assert Options(**contender("choco@low-bit").options(task())).codec_memory == "public-copies"
    with pytest.raises(
        ConfigError, match=r"contenders='choco@zip': unknown name; choose one of: b"
    ):
        contender("choco@zip")


@pytest.mark.parametrize("name", sorted(contenders()))
def test_every_contender_measures_the_same_things(name, monkeypatch) -> None:
    seen = []
    made = run(name, monkeypatch, on_round=seen.append)
    assert (made.contender, made.engine, made.seed) == (name, "flower", 1)
    assert made.devices == (1 if name == "centralized" else K)
    assert [r.round for r in made.rounds] == [1, 2, 3] == [r.round for r in seen]
    assert [r.after_consensus is not None for r in made.rounds] == [False, True, True]
    assert [r.after_training is not None for r in made.rounds] == [False, True, True]
    assert [r.consensus_distance is not None for r in made.rounds] == [False, True, True]
    assert all(r.bytes_sent is not None and r.seconds > 0 for r in made.rounds)
    assert all(r.bytes_through_server > 0 for r in made.rounds)


def test_fedavg_sends_models_to_and_from_the_server(monkeypatch) -> None:
    model = START.count_bytes()
    for measured in run("fedavg", monkeypatch).rounds:
        assert measured.bytes_sent == 2 * K * model
        assert measured.bytes_sent_busiest == K * model
        assert measured.bytes_through_server > 2 * K * model


def test_local_devices_send_nothing(monkeypatch) -> None:
    made = run("local", monkeypatch)
    assert [r.bytes_sent for r in made.rounds] == [0, 0, 0]
    assert made.setup["synchronization_steps"] == 0
    assert made.rounds[-1].after_training.loss == made.rounds[-1].after_consensus.loss


def test_dsgd_is_p2pl_without_synchronization(monkeypatch) -> None:
    assert run("dsgd", monkeypatch).setup["synchronization_steps"] == 0
    assert run("p2pl", monkeypatch).setup["synchronization_steps"] > 0


def test_centralized_is_training_on_one_device(monkeypatch) -> None:
    # device 0's target is 0: from w = 0 nothing moves, and nothing is averaged
    made = run("centralized", monkeypatch)
    assert made.rounds[-1].after_consensus.loss.mean == 0
    assert made.rounds[-1].after_consensus.loss.std == 0


def test_consensus_brings_devices_closer(monkeypatch) -> None:
    distances = {n: run(n, monkeypatch).rounds[-1].consensus_distance for n in ("local", "p2pl")}
    assert distances["p2pl"] < distances["local"]
    assert np.isfinite(list(distances.values())).all()
