"""Strategies of people's own that are P2PL: with a start and overrides of their own."""

from __future__ import annotations

import gc
import logging
from typing import Any

import pytest
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord
from flwr.serverapp.strategy import Result, Strategy
from local_grid import LocalGrid
from own_strategies import RING, OwnStart, start
from test_strategy import by_hand
from toy_app import START, make_app, run, values

from p2pl_flower import P2PL
from p2pl_flower.errors import ConfigError, DeviceError


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
            assert [r.bytes_sent for r in strategy.rounds] == [10 * 3 * 8 * steps] * 3, kind
            distances = [r.consensus_distance for r in strategy.rounds]
            assert distances[-1] == pytest.approx(3**0.5 * expected.std())
    assert "aggregate_train of Deaf does not call super().aggregate_train" in caplog.text
    assert "aggregate_evaluate of OwnMetrics does not call super().aggregate_" in caplog.text
    assert "aggregate_evaluate of Deaf" not in caplog.text
    assert "aggregate_evaluate of NoEvaluation" not in caplog.text
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


def test_it_is_logged_how_many_devices_there_are(caplog: pytest.LogCaptureFixture) -> None:
    app, relay = make_app()
    with caplog.at_level(logging.INFO, "flwr.p2pl"):
        run(LocalGrid(app, 5), relay, rounds=1, topology="ring")
    assert "Devices: 5" in caplog.text
