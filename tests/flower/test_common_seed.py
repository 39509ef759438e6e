"""``init="seed"``: all devices draw one model of the run's seed, and none is sent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from local_grid import RUN_ID, LocalGrid

from p2pl_flower import P2PL, MemoryRelay, PeerApp
from p2pl_flower.errors import ConfigError, DeviceError
from p2pl_flower.relay.contents import MODEL, models_of
from p2pl_flower.seeding import common_start

DEVICES = 4
SHAPE = (3, 2)


def record(values) -> ArrayRecord:
    return ArrayRecord({"w": Array(np.asarray(values, np.float32))})


class Kept(MemoryRelay):
    def close(self, run: int) -> None:
        found = models_of(self.observe(RUN_ID, MODEL))
        self.last = {d: np.array(m["w"]) for d, m in found.items()}
        super().close(run)


def make_app(relay: MemoryRelay, init: Callable[[Context, int], ArrayRecord] | None) -> PeerApp:
    app = PeerApp(relay=relay)
    if init is not None:
        app.init()(init)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        metrics = MetricRecord({"num-examples": 1})
        arrays = message.content.array_records["arrays"]
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    return app


def run(init, kind: str = "seed", arrays: ArrayRecord | None = None) -> tuple[P2PL, Kept]:
    relay = Kept()
    strategy = P2PL("ring", init=kind, seed=7, num_devices=DEVICES, relay=relay)
    grid = LocalGrid(make_app(relay, init), DEVICES)
    strategy.start(grid, arrays or ArrayRecord(), 1)
    return strategy, relay


def by_seed(context: Context, seed: int) -> ArrayRecord:
    return record(np.random.default_rng(seed).normal(size=SHAPE))


def test_all_start_from_one_draw_and_no_model_is_sent_for_it() -> None:
    strategy, relay = run(by_seed)
    expected = np.random.default_rng(common_start(7)).normal(size=SHAPE).astype(np.float32)
    assert [relay.last[d].tolist() for d in range(DEVICES)] == [expected.tolist()] * DEVICES
    assert (strategy.setup["synchronization_steps"], strategy.setup["bytes_sent"]) == (0, 0)


def test_a_function_that_does_not_draw_by_the_seed_is_refused() -> None:
    with pytest.raises(DeviceError, match="must return the same arrays for the same seed"):
        run(lambda context, seed: record(np.random.default_rng().normal(size=SHAPE)))


def test_a_function_that_draws_by_the_device_is_refused() -> None:
    def init(context: Context, seed: int) -> ArrayRecord:
        device = int(context.node_config["partition-id"])
        return record(np.random.default_rng(seed + device // 3).normal(size=SHAPE))

    match = r"devices \[3\] draw other initial models from the run's seed than device 0"
    with pytest.raises(DeviceError, match=match):
        run(init)


def test_a_function_that_knows_no_seed_is_told(caplog) -> None:
    _, relay = run(lambda context, seed: record(np.ones(SHAPE)))
    assert "returns the same arrays whatever the seed" in caplog.text
    assert relay.last[3].tolist() == np.ones(SHAPE).tolist()
    caplog.clear()
    run(by_seed)
    assert "whatever the seed" not in caplog.text


@pytest.mark.parametrize("kind", ["seed", "bounded-norm"])
def test_devices_that_cannot_draw_are_refused(kind: str) -> None:
    relay = Kept()
    drawing, lacking = make_app(relay, by_seed), make_app(relay, None)

    class Mixed(LocalGrid):
        def _deliver(self, message: Message) -> Message:
            device = self.contexts[message.metadata.dst_node_id].node_config["partition-id"]
            self.app = lacking if device == 2 else drawing
            return super()._deliver(message)

    strategy = P2PL("ring", init=kind, num_devices=DEVICES, relay=relay)
    with pytest.raises(ConfigError, match=r"devices \[2\] draw no initial model"):
        strategy.start(Mixed(drawing, DEVICES), record(np.ones(SHAPE)), 1)


@pytest.mark.parametrize("kind", ["seed", "bounded-norm"])
def test_where_nobody_draws_all_start_from_initial_arrays(kind: str, caplog) -> None:
    _, relay = run(None, kind, record(np.full(SHAPE, 2.0)))
    assert all(relay.last[d].tolist() == np.full(SHAPE, 2.0).tolist() for d in range(DEVICES))
    assert "no device draws an initial model" in caplog.text


def test_norms_that_are_not_plausible_lose(caplog) -> None:
    def init(context: Context, seed: int) -> ArrayRecord:
        values = np.random.default_rng(seed).normal(size=(30, 30))
        hostile = context.node_config["partition-id"] == 1
        return record(values * (50 if hostile and seed in OWN else 1))

    from p2pl_flower.seeding import Stream, derive

    OWN = {derive(7, Stream.INIT, 1)}  # noqa: N806
    _, relay = run(init, "max-norm")
    assert np.linalg.norm(relay.last[0]) > 1000
    _, relay = run(init, "bounded-norm")
    assert all(np.linalg.norm(relay.last[d]) < 40 for d in range(DEVICES))
    assert np.array_equal(relay.last[0], relay.last[3])
