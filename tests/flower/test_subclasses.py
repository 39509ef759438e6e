"""Strategies of people's own that are P2PL: with a start, hooks and overrides of their own."""

from __future__ import annotations

import gc
import logging
import pickle
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import Result, Strategy
from local_grid import LocalGrid
from test_strategy import by_hand, nx
from toy_app import START, device, make_app, record, run, trained, values

from p2pl_flower import P2PL, MemoryRelay, PeerApp
from p2pl_flower.errors import ConfigError, DeviceError, P2PLError, RelayError

RING = nx.cycle_graph(5)


class OwnStart(P2PL):
    """It has the loop of the base class written out, as projects do that save the best model."""

    best: ArrayRecord | None = None

    def start(
        self,
        grid: Any,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Any = None,
    ) -> Result:
        result, arrays = Result(), initial_arrays
        train_config, evaluate_config = train_config or ConfigRecord(), ConfigRecord()
        for number in range(1, num_rounds + 1):
            replies = grid.send_and_receive(
                messages=self.configure_train(number, arrays, train_config, grid), timeout=timeout
            )
            aggregated, metrics = self.aggregate_train(number, replies)
            if aggregated is not None:
                result.arrays = arrays = aggregated
            if metrics is not None:
                result.train_metrics_clientapp[number] = metrics
            replies = grid.send_and_receive(
                messages=self.configure_evaluate(number, arrays, evaluate_config, grid),
                timeout=timeout,
            )
            if metrics := self.aggregate_evaluate(number, replies):
                result.evaluate_metrics_clientapp[number] = metrics
            if evaluate_fn and (found := evaluate_fn(number, arrays)):
                result.evaluate_metrics_serverapp[number] = found
                self.best = ArrayRecord(dict(arrays))
        return result


def start(strategy: P2PL, relay: MemoryRelay, app: Any, rounds: int = 3, **given: Any) -> Result:
    result: Result = strategy.start(LocalGrid(app, 5), START, num_rounds=rounds, **given)
    assert relay._entries == {}  # it is closed
    return result


@pytest.mark.parametrize("evaluate_every", [0, 1, 2])
def test_a_start_of_ones_own_gives_the_numbers_of_the_base_class(evaluate_every: int) -> None:
    seen: dict[type, list[tuple[int, float]]] = {P2PL: [], OwnStart: []}
    results = {}
    for kind, central in seen.items():

        def evaluate_fn(
            number: int, arrays: ArrayRecord, central: list[Any] = central
        ) -> MetricRecord:
            central.append((number, float(values(arrays)["w"][0])))
            return MetricRecord({"accuracy": 0.1 * number})

        app, relay = make_app()
        strategy = kind("ring", relay=relay, evaluate_every=evaluate_every, connect_timeout=0.1)
        results[kind] = start(strategy, relay, app, evaluate_fn=evaluate_fn)
        assert [r.round for r in strategy.rounds] == [1, 2, 3]
        assert all(r.bytes_sent == 10 * 3 * 8 for r in strategy.rounds)
        scored = [r.after_consensus is not None for r in strategy.rounds]
        assert scored == {0: [False] * 3, 1: [True] * 3, 2: [False, True, True]}[evaluate_every]
    assert seen[OwnStart] == [c for c in seen[P2PL] if c[0] > 0]
    assert seen[OwnStart] == [(n, pytest.approx(by_hand(RING, n).mean())) for n in (1, 2, 3)]
    ours, theirs = (values(results[kind].arrays)["w"] for kind in (P2PL, OwnStart))
    assert ours == pytest.approx(theirs)
    assert list(results[P2PL].train_metrics_clientapp) == [1, 2, 3]
    assert results[P2PL].train_metrics_clientapp == results[OwnStart].train_metrics_clientapp


def test_arrays_that_a_start_saves_are_the_trained_ones() -> None:
    app, relay = make_app()
    strategy = OwnStart("ring", relay=relay)
    start(strategy, relay, app, evaluate_fn=lambda number, arrays: MetricRecord({"n": number}))
    assert strategy.best is not None
    assert values(strategy.best)["w"][0] == pytest.approx(by_hand(RING, 3).mean())


class Halving:
    """A mixin that changes the learning rate by round."""

    def configure_train(self, server_round: int, arrays: Any, config: ConfigRecord, grid: Any):
        config["lr"] = 0.5**server_round
        return super().configure_train(server_round, arrays, config, grid)  # type: ignore[misc]


class StartInMixin:
    def start(self, *args: Any, **options: Any) -> Result:
        self.before = "seen"
        return super().start(*args, **options)  # type: ignore[misc]


def test_overrides_in_mixins() -> None:
    class Mine(Halving, StartInMixin, P2PL):
        pass

    app, relay = make_app()
    grid = LocalGrid(app, 5)
    strategy = Mine("ring", relay=relay)
    result = strategy.start(grid, START, 2)
    assert strategy.before == "seen"
    rates = [c["config"]["lr"] for k, d, c in grid.log if k == "train.p2pl" and d == 0]
    assert rates == [0.5, 0.25]
    assert values(result.arrays)["w"][0] == pytest.approx(by_hand(RING, 2).mean())


def test_a_start_is_looked_up_as_in_any_class() -> None:
    class Later(StartInMixin):
        def start(self, *args: Any, **options: Any) -> Result:
            self.later = "seen"
            return super().start(*args, **options)

    class Mixed(StartInMixin, P2PL):
        pass

    class Last(Mixed, Later):
        pass

    app, relay = make_app()
    strategy = Last("ring", relay=relay)
    start(strategy, relay, app, rounds=1)
    assert (strategy.before, strategy.later) == ("seen", "seen")


def test_overrides_that_do_not_call_super(caplog: pytest.LogCaptureFixture) -> None:
    class NoEvaluation(P2PL):
        def configure_evaluate(self, *_: Any) -> list[Any]:
            return []

        def aggregate_evaluate(self, *_: Any) -> None:
            return None

    class OwnMetrics(P2PL):
        def aggregate_evaluate(self, server_round: int, replies: Any) -> MetricRecord:
            return MetricRecord({"replies": len(list(replies))})

    class Deaf(P2PL):
        def aggregate_train(self, server_round: int, replies: Any) -> tuple[None, MetricRecord]:
            return None, MetricRecord({"replies": len(list(replies))})

    for kind in (NoEvaluation, OwnMetrics, Deaf):
        for steps in (1, 2):
            app, relay = make_app()
            strategy = kind("ring", relay=relay, consensus_steps=steps)
            result = start(strategy, relay, app)
            expected = by_hand(RING, 3, steps)
            assert values(result.arrays)["w"][0] == pytest.approx(expected.mean()), kind
            assert [r.round for r in strategy.rounds] == [1, 2, 3]
            distances = [r.consensus_distance for r in strategy.rounds]
            assert distances[-1] == pytest.approx(3**0.5 * expected.std())
    assert "aggregate_train of Deaf does not call super().aggregate_train" in caplog.text
    app, relay = make_app()
    with pytest.raises(ConfigError, match="strategy='Deaf': its aggregate_train must call super"):
        Deaf("ring", relay=relay, weights="data-size").start(LocalGrid(app, 5), START, 3)


def test_a_configure_train_that_does_not_call_super_is_named() -> None:
    class Silent(P2PL):
        def configure_train(self, *_: Any) -> list[Any]:
            return []

    app, relay = make_app()
    with pytest.raises(ConfigError, match=r"strategy='Silent': its configure_train must call supe"):
        start(Silent("ring", relay=relay), relay, app)
    assert relay._entries == {}


def test_filtering_and_counting_replies() -> None:
    class Counting(P2PL):
        seen = 0

        def aggregate_train(self, server_round: int, replies: Any) -> Any:
            listed = list(replies)
            self.seen += len(listed)
            return super().aggregate_train(server_round, [r for r in listed if r.has_content()])

    app, relay = make_app()
    strategy = Counting("ring", relay=relay)
    start(strategy, relay, app)
    assert strategy.seen == 15


def test_what_is_saved_in_aggregate_train_is_the_mean_of_the_trained_models() -> None:
    saved: list[float] = []

    class Saving(P2PL):
        def aggregate_train(self, server_round: int, replies: Any) -> Any:
            arrays, metrics = super().aggregate_train(server_round, replies)
            assert arrays is not None
            saved.append(float(values(pickle.loads(pickle.dumps(arrays)))["w"][0]))
            return arrays, metrics

    app, relay = make_app()
    result = start(Saving("star", relay=relay, weights="uniform"), relay, app)
    star = nx.star_graph(4)
    befores = [by_hand(star, n, weights="uniform") for n in range(3)]
    assert saved == pytest.approx([(0.5 * (w + np.arange(5))).mean() for w in befores])
    after = by_hand(star, 3, weights="uniform").mean()
    assert values(result.arrays)["w"][0] == pytest.approx(after)
    assert saved[-1] != pytest.approx(after)


def test_arrays_of_a_round_that_is_over_are_those_that_were_read_in_it() -> None:
    kept: list[ArrayRecord] = []

    class Keeping(P2PL):
        def aggregate_train(self, server_round: int, replies: Any) -> Any:
            arrays, metrics = super().aggregate_train(server_round, replies)
            kept.append(arrays)
            return arrays, metrics

        def aggregate_evaluate(self, server_round: int, replies: Any) -> Any:
            metrics = super().aggregate_evaluate(server_round, replies)
            if server_round == 1:
                len(kept[0])
            return metrics

    app, relay = make_app()
    start(Keeping("ring", relay=relay), relay, app)
    assert values(kept[0])["w"][0] == pytest.approx(by_hand(RING, 1).mean())
    with pytest.raises(P2PLError, match="mean model of round 2, and round 3 has begun"):
        values(kept[1])
    assert values(kept[2])["w"][0] == pytest.approx(by_hand(RING, 3).mean())


def test_on_round_has_the_models_and_the_devices_metrics() -> None:
    means, losses, trained = [], [], []

    def note(measured: Any) -> None:
        means.append(float(values(strategy.mean_model())["w"][0]))
        losses.append([m["eval_loss"] for m in strategy.evaluate_metrics.values()])
        trained.append([m["num-examples"] for m in strategy.train_metrics.values()])

    app, relay = make_app()
    strategy = P2PL("ring", relay=relay, on_round=note)
    with pytest.raises(P2PLError, match="while a run is under way"):
        strategy.mean_model()
    assert strategy.rounds == []
    start(strategy, relay, app)
    expected = [by_hand(RING, n) for n in (1, 2, 3)]
    assert means == pytest.approx([w.mean() for w in expected])
    assert losses == [pytest.approx(w) for w in expected]
    assert trained == [[10, 20, 30, 40, 50]] * 3


class Around(Strategy):
    """A strategy of somebody's own that has another one inside."""

    def __init__(self, inner: Strategy) -> None:
        self.inner = inner

    def configure_train(self, *args: Any) -> Any:
        return self.inner.configure_train(*args)

    def aggregate_train(self, *args: Any) -> Any:
        return self.inner.aggregate_train(*args)

    def configure_evaluate(self, *args: Any) -> Any:
        return self.inner.configure_evaluate(*args)

    def aggregate_evaluate(self, *args: Any) -> Any:
        return self.inner.aggregate_evaluate(*args)

    def summary(self) -> None:
        self.inner.summary()


def test_inside_a_strategy_that_only_passes_on() -> None:
    app, relay = make_app()

    def go() -> None:
        inner = P2PL("ring", relay=relay, connect_timeout=0.1)
        for _ in range(2):  # the second run begins though nobody said that the first was over
            result = Around(inner).start(LocalGrid(app, 5), START, 3)
            assert values(result.arrays)["w"][0] == pytest.approx(by_hand(RING, 3).mean())
            assert [r.round for r in inner.rounds] == [1, 2, 3]
        assert relay._entries != {}

    go()
    gc.collect()
    assert relay._entries == {}  # it goes with the strategy


def test_a_run_that_fails_leaves_nothing_open() -> None:
    def fail(message: Any, context: Any) -> None:
        raise ZeroDivisionError("no samples")

    app, relay = make_app(fail=fail)
    with pytest.raises(DeviceError, match="no samples"):
        start(OwnStart("ring", relay=relay), relay, app)
    assert relay._entries == {}


def test_a_relay_that_cannot_be_looked_into() -> None:
    class Opaque(MemoryRelay):
        observable = False

    app, _ = make_app()
    app._relay = relay = Opaque()
    strategy = OwnStart("ring", relay=relay)
    with pytest.raises(ConfigError, match=r"evaluate_fn=.*there are no models on the server"):
        start(strategy, relay, app, evaluate_fn=lambda number, arrays: None)
    seen = []
    strategy = OwnStart("ring", relay=relay, on_round=lambda r: seen.append(_refused(strategy)))
    result = start(strategy, relay, app)
    assert len(result.arrays) == 0
    assert all("cannot be observed" in text for text in seen)
    assert len(seen) == 3


def _refused(strategy: P2PL) -> str:
    with pytest.raises(RelayError) as caught:
        strategy.mean_model()
    return str(caught.value)


def test_it_is_logged_how_many_devices_there_are(caplog: pytest.LogCaptureFixture) -> None:
    app, relay = make_app()
    with caplog.at_level(logging.INFO, "flwr.p2pl"):
        run(LocalGrid(app, 5), relay, rounds=1, topology="ring")
    assert "Devices: 5" in caplog.text


PAGE = Path(__file__).parents[2] / "docs" / "convert.md"


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_class_in_the_docs_saves_and_logs_the_same(when: str) -> None:
    pytest.importorskip("torch")
    [block] = re.findall(rf"```python\n# {when}: (.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    code = block.partition("\n")[2].replace("(FedAvg)", "(P2PL)").replace("Mine()", 'Mine("ring")')
    logged: list[dict[str, float]] = []
    saved: list[float] = []
    relay, app = MemoryRelay(), PeerApp()
    app._relay = relay

    @app.train()
    def train(message: Message, context: Context) -> Message:
        model = trained(values(message.content["arrays"]), device(context))
        lr = message.content["config"]["lr"]
        metrics = MetricRecord({"num-examples": 1, "lr": lr})
        content = RecordDict({"arrays": record(model), "metrics": metrics})
        return Message(content, reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        number = message.content["config"]["server-round"]
        metrics = {"num-examples": 1, "loss": 1.0, "accuracy": [0.2, 0.9, 0.5][number - 1]}
        return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)

    names: dict[str, Any] = {
        "P2PL": P2PL,
        "wandb": SimpleNamespace(log=lambda entry, step=None: logged.append(entry)),
        "torch": SimpleNamespace(save=lambda state, path: saved.append(float(state["w"][0]))),
    }
    exec(compile(code, "convert.md", "exec"), names)
    strategy = names["strategy"]
    strategy.relay = relay
    result = start(strategy, relay, app)
    assert saved == pytest.approx([by_hand(RING, n).mean() for n in (1, 2)])  # the third is no best
    accuracies = [entry["accuracy"] for entry in logged if "accuracy" in entry]
    assert accuracies == pytest.approx([0.2, 0.9, 0.5])
    rates = [result.train_metrics_clientapp[n]["lr"] for n in (1, 2, 3)]
    assert rates == pytest.approx([0.09, 0.081, 0.0729])
