"""A ClientApp whose training can be worked out by hand: a step towards the device's target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from local_grid import LocalGrid

from p2pl_flower import P2PL, MemoryRelay, PeerApp

START = ArrayRecord(
    {"w": Array(np.zeros(2)), "steps": Array(np.array(0)), "b": Array(np.zeros(()))}
)


def values(arrays: ArrayRecord) -> dict[str, np.ndarray]:
    return {name: array.numpy() for name, array in arrays.items()}


def record(model: dict[str, Any]) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(value)) for name, value in model.items()})


def device(context: Context) -> int:
    return int(context.node_config.get("partition-id", 0))


def trained(model: dict[str, np.ndarray], own: int) -> dict[str, np.ndarray]:
    """w and b go half of the way to the device's id; steps counts."""
    half = {name: 0.5 * (model[name] + own) for name in ("w", "b")}
    return {"w": half["w"], "steps": model["steps"] + 1, "b": half["b"]}


def add_functions(app: ClientApp, fail: Callable[[Message, Context], None] | None = None) -> None:
    @app.train()
    def train(message: Message, context: Context) -> Message:
        if fail:
            fail(message, context)
        [arrays] = [r for k, r in message.content.array_records.items() if k == "arrays"]
        own = device(context)
        metrics = {"num-examples": 10 * (own + 1), "train_loss": 1.0}
        content = {
            "arrays": record(trained(values(arrays), own)),
            "metrics": MetricRecord(metrics),
        }
        return Message(RecordDict(content), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        model = values(message.content["arrays"])
        metrics = {"num-examples": 5, "eval_loss": float(model["w"][0]), "eval_acc": 0.5}
        return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)


def make_app(draws: bool = False, **options: Any) -> tuple[PeerApp, MemoryRelay]:
    """Return the app and the relay that P2PL must be given too."""
    relay = MemoryRelay()
    app = PeerApp(relay=relay, mods=options.pop("mods", None))
    add_functions(app, **options)
    if draws:

        @app.init()
        def init(context: Context, seed: int) -> ArrayRecord:
            drawn = np.random.default_rng(seed).normal(size=3)
            return record({"w": drawn[:2], "steps": np.array(0), "b": np.array(drawn[2])})

    return app, relay


def run(grid: LocalGrid, relay, rounds: int = 2, initial: ArrayRecord = START, **options):
    """Run P2PL and return the strategy and its result."""
    start = {
        k: options.pop(k)
        for k in list(options)
        if k in ("evaluate_fn", "train_config", "timeout", "evaluate_config")
    }
    strategy = P2PL(relay=relay, connect_timeout=0.1, **options)
    return strategy, strategy.start(grid, initial, rounds, **start)
