"""mixedexample: A Flower / NumPy app with two kinds of clients."""

import hashlib

import numpy as np
from flwr.client import ClientApp, NumPyClient
from flwr.common import Context

from mixedexample.task import load_data, start, test, train


class Trainer(NumPyClient):
    """A client that only trains: all of its data are for that."""

    def __init__(self, number, trainset, testset):
        self.number, self.trainset, self.testset = number, trainset, testset

    def get_parameters(self, config):
        return start()

    def fit(self, parameters, config):
        model = train(parameters, *self.trainset)
        metrics = {
            "name": f"client-{self.number}",
            "digest": hashlib.sha256(model[0].tobytes()).digest(),
            "evaluates": isinstance(self, Scorer),
            "largest": np.abs(model[0]).max(),
            "steps": 20,
        }
        return model, len(self.trainset[1]), metrics


class Scorer(Trainer):
    """A client that evaluates, too."""

    def evaluate(self, parameters, config):
        loss, accuracy = test(parameters, *self.testset)
        metrics = {"name": f"client-{self.number}", "accuracy": accuracy, "good": bool(accuracy > 0.5)}
        return loss, len(self.testset[1]), metrics


def client_fn(context: Context):
    number = context.node_config["partition-id"]
    trainset, testset = load_data(number, context.node_config["num-partitions"])
    kind = Trainer if number == 0 else Scorer
    return kind(number, trainset, testset).to_client()


# Flower ClientApp
app = ClientApp(client_fn)
