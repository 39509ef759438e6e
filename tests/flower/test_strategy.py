"""P2PL and PeerApp together, over Flower messages, in one process."""

from __future__ import annotations

import logging

import networkx as nx
import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg
from local_grid import LocalGrid
from toy_app import START, add_functions, device, make_app, record, run, trained, values

from p2pl_flower import DeviceError, MemoryRelay, PeerApp, local_correction
from p2pl_flower.options import Options
from p2pl_flower.weights import mixing_matrix


def by_hand(graph: nx.Graph, rounds: int, steps: int = 1, **options) -> np.ndarray:
    """w[0] of every device, with the mixing matrix instead of messages."""
    made = Options(**options)
    samples = {d: 10 * (d + 1) for d in graph}
    mixing = mixing_matrix(graph, made.weights, samples)
    w = np.zeros(len(graph))
    for _ in range(rounds):
        w = 0.5 * (w + np.arange(len(graph)))
        for _ in range(steps):
            w = w + made.consensus_gamma * (mixing @ w - w)
    return w


def final(relay_models) -> np.ndarray:
    return np.array([m["w"][0] for m in relay_models.values()])


@pytest.mark.parametrize("weights", ["metropolis", "uniform", "data-size"])
@pytest.mark.parametrize(("steps", "gamma"), [(1, 1.0), (3, 0.5), (0, 1.0)])
@pytest.mark.parametrize("evaluate_every", [0, 1, 2])
def test_rounds_are_training_and_mixing(weights, steps, gamma, evaluate_every) -> None:
    app, relay = make_app()
    strategy, result = run(
        LocalGrid(app, 6),
        relay,
        rounds=3,
        topology="ring",
        weights=weights,
        consensus_steps=steps,
        consensus_gamma=gamma,
        evaluate_every=evaluate_every,
    )
    expected = by_hand(nx.cycle_graph(6), 3, steps, weights=weights, consensus_gamma=gamma)
    assert values(result.arrays)["w"] == pytest.approx([expected.mean()] * 2)
    assert [r.round for r in strategy.rounds] == [1, 2, 3]
    scored = [r.after_consensus is not None for r in strategy.rounds]
    assert scored == {0: [False] * 3, 1: [True] * 3, 2: [False, True, True]}[evaluate_every]


def test_what_a_round_measures() -> None:
    app, relay = make_app()
    strategy, _ = run(LocalGrid(app, 4), relay, rounds=1, topology="star")
    [measured] = strategy.rounds
    before = np.arange(4) / 2
    after = by_hand(nx.star_graph(3), 1)
    assert measured.after_training.loss.mean == pytest.approx(before.mean())
    assert measured.after_training.loss.max == pytest.approx(1.5)
    assert measured.after_consensus.loss.mean == pytest.approx(after.mean())
    assert measured.after_consensus.loss.std == pytest.approx(after.std())
    assert measured.after_consensus.accuracy.min == 0.5
    # w has two numbers, b one: all are alike
    assert measured.consensus_distance == pytest.approx(3**0.5 * after.std())
    assert measured.bytes_sent == 6 * 3 * 8  # 3 links, both ways, 3 numbers of 8 bytes
    assert measured.bytes_sent_busiest == 3 * 3 * 8
    assert measured.seconds > 0


def test_no_model_goes_through_the_server() -> None:
    app, relay = make_app(draws=True)
    grid = LocalGrid(app, 5)
    strategy, _ = run(grid, relay, rounds=2, topology="ring")
    assert sum(len(content.array_records) for _, _, content in grid.log) == 0
    assert all(not m.has_content() or not m.content.array_records for m in grid.replies)
    assert 0 < strategy.rounds[0].bytes_through_server < 5000


def test_neighbor_lists_are_sent_once() -> None:
    app, relay = make_app(draws=True)
    grid = LocalGrid(app, 5)
    run(grid, relay, rounds=3, topology="ring")
    told = [c["p2pl"] for k, d, c in grid.log if d == 0 and "neighbor-id" in c["p2pl"]]
    assert [c["neighbor-id"] for c in told] == [[1, 4], [1, 4]]
    assert told[1]["neighbor-samples"] == [20, 50]  # once more when sample counts are known
    assert told[1]["samples"] == 10
    assert ["weights" in c for c in told] == [True, False]  # options are no news by then


def test_max_norm_init_floods_the_strongest_draw() -> None:
    app, relay = make_app(draws=True)
    seen: list[ArrayRecord] = []
    strategy, _ = run(
        LocalGrid(app, 6),
        relay,
        rounds=1,
        topology="path",
        seed=4,
        evaluate_fn=lambda r, arrays: seen.append(arrays),
    )
    assert strategy.setup["synchronization_steps"] <= 5
    again, other_relay = make_app(draws=True)
    independent: list[ArrayRecord] = []
    run(
        LocalGrid(again, 6),
        other_relay,
        rounds=1,
        topology="path",
        seed=4,
        init="independent",
        evaluate_fn=lambda r, arrays: independent.append(arrays),
    )
    # all hold one model, so that the mean's norm is that of the strongest, not a mean of draws
    assert np.linalg.norm(values(seen[0])["w"]) > np.linalg.norm(values(independent[0])["w"])


def test_two_runs_give_identical_numbers() -> None:
    results = []
    for _ in range(2):
        app, relay = make_app(draws=True)
        options = {"topology": "erdos-renyi:p=0.5", "links": "bernoulli:up=0.5", "seed": 3}
        strategy, result = run(LocalGrid(app, 8), relay, rounds=4, **options)
        results.append(
            (values(result.arrays)["w"].tolist(), [r.bytes_sent for r in strategy.rounds])
        )
    assert results[0] == results[1]


def test_without_an_init_function_all_start_from_initial_arrays(caplog) -> None:
    app, relay = make_app()
    grid = LocalGrid(app, 5)
    start = record({"w": np.array([8.0, 8.0]), "steps": np.array(3), "b": np.array(8.0)})
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, result = run(grid, relay, rounds=1, initial=start, topology="ring")
    assert "no @app.init()" in caplog.text
    assert strategy.setup["synchronization_steps"] == 2
    given = [d for k, d, c in grid.log if c.array_records]
    assert given == [0]  # the others have it from their neighbors
    assert values(result.arrays)["w"][0] == pytest.approx(4 + np.arange(5).mean() / 2)
    assert values(result.arrays)["steps"] == 4


def test_configs_and_results_are_as_users_of_fedavg_expect() -> None:
    app, relay = make_app()
    grid = LocalGrid(app, 4)
    seen: list[tuple[int, float]] = []

    def evaluate_fn(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        seen.append((server_round, float(values(arrays)["w"][0])))
        return MetricRecord({"central": 1.0})

    _, result = run(
        grid,
        relay,
        topology="complete",
        train_config=ConfigRecord({"lr": 0.1}),
        evaluate_config=ConfigRecord({"depth": 3}),
        evaluate_fn=evaluate_fn,
    )
    assert seen == [(0, 0.0), (1, pytest.approx(0.75)), (2, pytest.approx(1.125))]
    assert list(result.evaluate_metrics_serverapp) == [0, 1, 2]
    # the metrics are averages weighted by num-examples, as FedAvg's are
    assert result.train_metrics_clientapp[1]["train_loss"] == 1.0
    assert result.evaluate_metrics_clientapp[2]["eval_acc"] == 0.5
    trains = [c["config"] for k, _, c in grid.log if k == "train.p2pl"]
    assert {(c["lr"], c["server-round"]) for c in trains} == {(0.1, 1), (0.1, 2)}
    evaluations = [c["config"] for k, _, c in grid.log if k == "evaluate.p2pl"]
    assert {(c["depth"], c["server-round"]) for c in evaluations} == {(3, 1), (3, 2)}


def test_evaluate_functions_get_evaluate_config_after_training_too() -> None:
    relay = MemoryRelay()
    app = PeerApp(relay=relay)
    add_functions(app)
    seen: list[tuple[list[str], dict]] = []
    evaluate = app._registered_funcs["evaluate.default"]

    def noted(message: Message, context: Context) -> Message:
        seen.append((list(message.content), dict(message.content["config"])))
        return evaluate(message, context)

    app._registered_funcs["evaluate.default"] = noted
    configs = {"train_config": {"lr": 0.1}, "evaluate_config": {"depth": 3}}
    records = {name: ConfigRecord(config) for name, config in configs.items()}
    run(LocalGrid(app, 3), relay, topology="ring", **records)
    assert len(seen) == 2 * 2 * 3  # after training and after consensus
    assert {tuple(keys) for keys, _ in seen} == {("arrays", "config")}
    assert [c for _, c in seen if c["depth"] != 3 or "lr" in c] == []
    assert {c["server-round"] for _, c in seen} == {1, 2}


def test_complete_graph_with_data_size_weights_is_fedavg() -> None:
    app, relay = make_app()
    options = {"topology": "complete", "weights": "data-size", "init": "shared"}
    _, result = run(LocalGrid(app, 5), relay, rounds=3, **options)
    plain = ClientApp()
    add_functions(plain)
    federated = FedAvg(min_available_nodes=5).start(LocalGrid(plain, 5), START, 3)
    for name in ("w", "b"):
        assert values(result.arrays)[name] == pytest.approx(
            values(federated.arrays)[name], abs=1e-12
        )


def test_peer_app_answers_fedavg_as_client_app_does() -> None:
    app, _ = make_app(draws=True)
    plain = ClientApp()
    add_functions(plain)
    results = [FedAvg().start(LocalGrid(a, 3), START, 2) for a in (app, plain)]
    for name in ("w", "b"):  # FedAvg adds in random order
        ours, theirs = (values(r.arrays)[name] for r in results)
        assert ours == pytest.approx(theirs, abs=1e-12)
    assert list(results[0].evaluate_metrics_clientapp[2]) == ["eval_loss", "eval_acc"]


def test_mods_work_on_what_neighbors_receive() -> None:
    def double(message, context, call_next):
        reply = call_next(message, context)
        if reply.content.array_records:
            model = values(reply.content["arrays"])
            reply.content["arrays"] = record({**model, "w": 2 * model["w"]})
        return reply

    app, relay = make_app(mods=[double])
    _, result = run(LocalGrid(app, 4), relay, rounds=1, topology="complete")
    assert values(result.arrays)["w"][0] == pytest.approx(2 * 0.75)


def test_a_project_without_an_evaluate_function(caplog) -> None:
    relay = MemoryRelay()
    app = PeerApp(relay=relay)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        model = trained(values(message.content["arrays"]), device(context))
        metrics = MetricRecord({"num-examples": 1})
        return Message(RecordDict({"a": record(model), "m": metrics}), reply_to=message)

    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, result = run(LocalGrid(app, 4), relay, topology="complete")
    assert "no @app.evaluate()" in caplog.text
    assert [r.after_consensus for r in strategy.rounds] == [None, None]
    assert values(result.arrays)["w"][0] == pytest.approx(1.125)


def test_other_strategies_messages_are_left_alone() -> None:
    app, _ = make_app()
    grid = LocalGrid(app, 1)
    content = RecordDict({"arrays": START, "config": ConfigRecord({})})
    [reply] = grid.send_and_receive([Message(content, grid.node_of(0), "train")])
    assert list(reply.content["metrics"]) == ["num-examples", "train_loss"]


def test_affinity_gives_train_functions_the_correction() -> None:
    corrections: list[float] = []

    def note(message, context) -> None:
        found = local_correction()
        if found and device(context) == 0:
            corrections.append(float(found["w"][0]))

    app, relay = make_app(fail=note)
    half = "p2pl-affinity:strength=0.5"
    run(LocalGrid(app, 2), relay, rounds=3, topology="path", algorithm=half, evaluate_every=2)
    # round 1: (0, .5) -> (.25, .25): pull .25; round 2 trains to (.125, .625): pull .25
    assert corrections == pytest.approx([0.125, 0.125])
    app, relay = make_app(fail=note)
    corrections.clear()
    run(LocalGrid(app, 2), relay, rounds=3, topology="path")
    assert corrections == []


def test_training_that_does_not_correct_its_steps_is_refused() -> None:
    app, relay = make_app()
    with pytest.raises(DeviceError, match=r"p2pl-affinity.*optimizer = corrected\("):
        run(LocalGrid(app, 2), relay, topology="path", algorithm="p2pl-affinity")
    run(LocalGrid(app, 2), relay, topology="path", algorithm="p2pl-affinity:strength=0")


@pytest.mark.parametrize(
    "topology", ["random-matchings", "one-peer-exponential", "random-waypoint:radius=0.5,speed=0.3"]
)
@pytest.mark.parametrize("evaluate_every", [0, 1])
def test_schedules_change_the_graph_every_round(topology, evaluate_every) -> None:
    from p2pl_flower.topology import schedule

    app, relay = make_app(draws=True)
    options = {"topology": topology, "seed": 5, "evaluate_every": evaluate_every}
    _, result = run(LocalGrid(app, 8), relay, rounds=0, **options)
    start = values(result.arrays)["w"][0]
    app, relay = make_app(draws=True)
    _, result = run(LocalGrid(app, 8), relay, rounds=3, **options)
    w = np.full(8, start)
    graphs = schedule(topology, 8, 5)
    for number in (1, 2, 3):
        w = 0.5 * (w + np.arange(8))
        w = mixing_matrix(graphs.graph(number), Options().weights) @ w
    assert values(result.arrays)["w"][0] == pytest.approx(w.mean())


def test_toy_training_is_what_the_tests_think() -> None:
    model = {"w": np.array([2.0, 4.0]), "steps": np.array(1), "b": np.array(0.0)}
    assert trained(model, 6)["w"].tolist() == [4, 5]
