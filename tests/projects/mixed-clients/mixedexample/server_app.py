"""mixedexample: A Flower / NumPy app with a server of its own."""

import json
from pathlib import Path

from flwr.common import Context
from flwr.server import Server, ServerApp, ServerAppComponents, ServerConfig, SimpleClientManager
from flwr.server.strategy import FedAvg


class Noting:
    """Writes down what the clients report."""

    def __init__(self, file):
        self.file, self.rounds = Path(file), []

    def __call__(self, metrics):
        told = [{**m, "digest": m.get("digest", b"").hex()} for _, m in metrics]
        self.rounds.append(sorted(told, key=lambda m: m["name"]))
        self.file.write_text(json.dumps(self.rounds, default=float), encoding="utf-8")
        return {"clients": len(metrics), "names": " ".join(m["name"] for m in self.rounds[-1])}


def mean_accuracy(metrics):
    """Take the mean of the accuracies, of the clients that have one."""
    return {
        "accuracy": sum(m["accuracy"] for _, m in metrics) / len(metrics),
        "all_good": all(m["good"] is True for _, m in metrics),
    }


def server_fn(context: Context):
    strategy = FedAvg(
        min_available_clients=2,
        fit_metrics_aggregation_fn=Noting("fit_metrics.json"),
        evaluate_metrics_aggregation_fn=mean_accuracy,
    )
    server = Server(client_manager=SimpleClientManager(), strategy=strategy)
    config = ServerConfig(num_rounds=context.run_config["num-server-rounds"])
    return ServerAppComponents(server=server, config=config)


# Create ServerApp
app = ServerApp(server_fn=server_fn)
