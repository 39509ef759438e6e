"""Apps for peers that need no torch: training goes half of the way to the device's id."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp

from p2pl_flower import PeerApp

SIZE = 1000


def draw(context: Context, seed: int) -> ArrayRecord:
    rng = np.random.default_rng(seed)
    arrays = {"w": rng.normal(size=SIZE), "steps": np.array(0)}
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})


def add_functions(app: ClientApp) -> ClientApp:
    @app.train()
    def train(message: Message, context: Context) -> Message:
        own = int(context.node_config["partition-id"])
        number = int(message.content["config"]["server-round"])
        time.sleep(float(context.run_config.get("seconds", 0)))
        model = {k: a.numpy() for k, a in message.content["arrays"].items()}
        noise = np.random.normal(size=SIZE) * float(context.run_config.get("noise", 0))  # noqa: NPY002
        trained = {"w": 0.5 * (model["w"] + own) + noise, "steps": model["steps"] + 1}
        if context.run_config.get("fail-in") == number:
            raise ValueError("the user's own mistake")
        if context.run_config.get("nan-at") == own:
            trained["w"] = trained["w"] * np.nan
        count = context.state.config_records.setdefault("seen", ConfigRecord({"rounds": []}))
        count["rounds"] = [*count["rounds"], number]
        if "log" in context.run_config:
            with Path(str(context.run_config["log"]), f"device-{own}.log").open("a") as file:
                file.write(f"{number} {os.getpid()}\n")
        metrics = MetricRecord({"num-examples": 10 * (own + 1), "train_loss": 1.0})
        if context.run_config.get("uncounted"):
            del metrics["num-examples"]
        arrays = ArrayRecord({name: Array(np.asarray(a)) for name, a in trained.items()})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        if context.run_config.get("no-test-data"):
            raise ZeroDivisionError("no test data")
        mean = float(message.content["arrays"]["w"].numpy().mean())
        metrics = MetricRecord({"num-examples": 5, "eval_loss": mean, "accuracy": 0.5})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


peer_app = add_functions(PeerApp())
assert isinstance(peer_app, PeerApp)
peer_app.init()(draw)
plain_app = add_functions(ClientApp())
masked_app = add_functions(ClientApp(mods=[secaggplus_mod]))
no_app = "text"
