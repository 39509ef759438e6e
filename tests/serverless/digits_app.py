"""A softmax regression on scikit-learn's digits, each device with its share of them."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from sklearn.datasets import load_digits

from p2pl_flower import PeerApp

SHARES, EPOCHS, RATE = 12, 2, 0.1

app = PeerApp()


@cache
def digits():
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    return (images[order] / 16).astype(np.float32), labels[order]


def own_share(device: int):
    images, labels = digits()
    return images[400:][device::SHARES], labels[400:][device::SHARES]


def outputs(model, images):
    return images @ model["w"] + model["b"]


@app.init()
def init(context, seed):
    draw = np.random.default_rng(seed)
    arrays = {"w": draw.normal(0, 0.01, (64, 10)), "b": np.zeros(10)}
    return ArrayRecord({n: Array(a.astype(np.float32)) for n, a in arrays.items()})


@app.train()
def train(message, context):
    record = message.content.array_records["arrays"]
    model = {name: array.numpy().copy() for name, array in record.items()}
    images, labels = own_share(context.node_config["partition-id"])
    time.sleep(float(context.run_config.get("pause", 0)))
    for _ in range(EPOCHS):
        for start in range(0, len(labels), 10):
            x, y = images[start : start + 10], labels[start : start + 10]
            scores = outputs(model, x)
            shares = np.exp(scores - scores.max(1, keepdims=True))
            wrong = (shares / shares.sum(1, keepdims=True) - np.eye(10)[y]) / len(y)
            model["w"] -= RATE * (x.T @ wrong).astype(np.float32)
            model["b"] -= RATE * wrong.sum(0).astype(np.float32)
    metrics = MetricRecord({"num-examples": len(labels)})
    arrays = ArrayRecord({name: Array(array) for name, array in model.items()})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message, context):
    record = message.content.array_records["arrays"]
    model = {name: array.numpy() for name, array in record.items()}
    images, labels = digits()
    right = (outputs(model, images[:400]).argmax(1) == labels[:400]).mean()
    metrics = MetricRecord({"accuracy": float(right), "num-examples": 400})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
