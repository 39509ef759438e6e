"""P2PL where devices are missing or fail, or where what it is given cannot be run."""

from __future__ import annotations

import logging

import networkx as nx
import numpy as np
import pytest
from flwr.app import ArrayRecord, Message
from flwr.clientapp import ClientApp
from local_grid import LocalGrid
from toy_app import add_functions, device, make_app, record, run, values

from p2pl_flower.errors import ConfigError, DeviceError, LayoutError, TopologyError, WeightsError


def test_devices_that_are_away_neither_train_nor_mix() -> None:
    app, relay = make_app()
    grid = LocalGrid(app, 8)
    strategy, _ = run(
        grid,
        relay,
        rounds=6,
        topology="complete",
        links="churn:away=0.4,absence=2",
        seed=1,
        evaluate_every=0,
    )
    present = strategy.options.links.present(np.arange(8), np.arange(1, 7)[:, None])
    called = [
        [d for k, d, c in grid.log if k == "train.p2pl" and c["p2pl"]["round"] == t]
        for t in range(1, 7)
    ]
    assert [sorted(ids) for ids in called] == [list(np.flatnonzero(row)) for row in present]
    assert 0 < present.sum() < 48


def test_a_device_that_stops_answering_does_not_stop_the_others(caplog) -> None:
    app, relay = make_app()
    dead = LocalGrid(app, 5).node_of(2)
    grid = LocalGrid(
        app,
        5,
        drop=lambda m: (
            m.metadata.dst_node_id == dead
            and m.metadata.message_type == "train.p2pl"
            and int(m.metadata.group_id) >= 2
        ),
    )
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, result = run(grid, relay, rounds=4, topology="ring")
    assert "no answer from device(s) [2]" in caplog.text
    assert len(strategy.rounds) == 4
    mixes = [
        d
        for k, d, c in grid.log
        if "mix-round" in c.get("p2pl", {}) and c["p2pl"]["mix-round"] == 3
    ]
    assert sorted(mixes) == [0, 1, 3, 4]
    # the four others go on towards their mean; device 2's model is from round 1
    assert 0.5 < values(result.arrays)["w"][0] < 2.5


def test_a_client_function_that_raises_ends_the_run_with_its_error() -> None:
    def fail(message, context) -> None:
        if device(context) == 3 and message.content["config"]["server-round"] == 2:
            raise ZeroDivisionError("no samples of class 7")

    app, relay = make_app(fail=fail)
    with pytest.raises(
        DeviceError, match=r"device 3 failed at train.p2pl: .*no samples of class 7"
    ):
        run(LocalGrid(app, 4), relay, rounds=3, topology="ring", on_failure="raise")


def test_nobody_answers() -> None:
    app, relay = make_app()
    grid = LocalGrid(app, 3, drop=lambda m: m.metadata.message_type == "train.p2pl")
    with pytest.raises(DeviceError, match=r"no device answered train\.p2pl within 5 s"):
        run(grid, relay, topology="ring", timeout=5)


def test_a_plain_client_app_is_told_what_to_change() -> None:
    plain = ClientApp()
    add_functions(plain)
    with pytest.raises(DeviceError, match=r"replace `ClientApp\(` by `PeerApp\(`"):
        run(LocalGrid(plain, 3), None, topology="ring")


def test_fewer_nodes_than_devices() -> None:
    app, relay = make_app()
    with pytest.raises(ConfigError, match=r"num-devices=9.*3 are connected"):
        run(LocalGrid(app, 3), relay, num_devices=9)


def test_more_nodes_than_devices() -> None:
    app, relay = make_app()
    grid = LocalGrid(app, 6)
    run(grid, relay, rounds=1, num_devices=4, topology="ring")
    assert sorted(d for k, d, _ in grid.log if k == "train.p2pl") == [0, 1, 2, 3]


def test_nodes_without_partition_ids_are_numbered() -> None:
    app, relay = make_app()
    told: dict[int, int] = {}

    def note(message: Message) -> bool:
        if message.metadata.message_type == "train.p2pl":
            told[message.metadata.dst_node_id] = message.content["p2pl"]["device"]
        return False

    grid = LocalGrid(app, 4, drop=note, partition_ids=False)
    run(grid, relay, rounds=1, topology="ring")
    assert [told[node] for node in sorted(grid.contexts)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"topology": "rign"}, TopologyError | ConfigError, "topology='rign': unknown name"),
        ({"topology": "regular:d=3"}, ConfigError, "n \\* d"),
        ({"topology": nx.Graph([(0, 1), (2, 3), (3, 4)])}, TopologyError, "3, 2"),
        ({"weights": np.eye(4), "topology": "ring"}, WeightsError, "weights"),
        ({"weights": np.full((5, 5), 0.3)}, WeightsError, "sum"),
        ({"consensus_gamma": 1.5}, ConfigError, "consensus-gamma=1.5"),
        ({"consensus_steps": -1}, ConfigError, "consensus-steps=-1"),
        ({"init": "zeros"}, ConfigError, "max-norm, bounded-norm, seed, shared"),
        ({"links": "bernoulli:up=0"}, ConfigError, "links='bernoulli:up=0'"),
    ],
)
def test_bad_options_are_refused_before_anything_is_trained(options, error, words) -> None:
    app, relay = make_app()
    grid = LocalGrid(app, 5)
    with pytest.raises(ConfigError, match=words):
        run(grid, relay, **options)
    assert not [k for k, _, _ in grid.log if k == "train.p2pl"]


def test_initial_arrays_of_another_model_are_refused() -> None:
    app, relay = make_app(draws=True)
    other = record({"w": np.zeros(3), "steps": np.array(0), "b": np.zeros(())})
    with pytest.raises(LayoutError, match="device 0 draws a model"):
        run(LocalGrid(app, 3), relay, initial=other, topology="ring")


def test_a_start_is_needed_from_somewhere() -> None:
    app, relay = make_app()
    with pytest.raises(ConfigError, match="initial_arrays='empty'"):
        run(LocalGrid(app, 3), relay, initial=ArrayRecord(), topology="ring")
