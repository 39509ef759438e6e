"""Devices with a model of 2 MB: training goes half of the way to the device's id."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict

from p2pl_flower import GrpcRelay, PeerApp

SIZE = 250_000

app = PeerApp(relay=GrpcRelay())


@app.init()
def init(context: Context, seed: int) -> ArrayRecord:
    return ArrayRecord({"w": Array(np.random.default_rng(seed).normal(size=SIZE))})


@app.train()
def train(message: Message, context: Context) -> Message:
    w = message.content["arrays"]["w"].numpy()
    w = 0.5 * (w + int(context.node_config["partition-id"]))
    arrays, metrics = ArrayRecord({"w": Array(w)}), MetricRecord({"num-examples": 10})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    mean = float(message.content["arrays"]["w"].numpy().mean())
    metrics = MetricRecord({"num-examples": 10, "eval_loss": mean, "acc": 0.5})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
