"""A strategy that changes the learning rate, counts replies and keeps the best model."""

from flwr.app import ArrayRecord, ConfigRecord, MetricRecord
from flwr.serverapp.strategy import FedAvg
from flwr.serverapp.strategy.result import Result


class Halving:
    """Halves the learning rate in every round after the first."""

    def configure_train(self, server_round, arrays, config, grid):
        """Configure the next round of federated training."""
        if server_round > 1:
            config["lr"] *= 0.5
        return super().configure_train(server_round, arrays, config, grid)


class KeepsBest(Halving, FedAvg):
    """Keeps the model whose mean accuracy on the clients is best."""

    def __init__(self, **options):
        super().__init__(**options)
        self.best = ArrayRecord()
        self.best_accuracy = 0.0
        self.replies = []

    def aggregate_train(self, server_round, replies):
        """Count replies, and leave out those without content."""
        valid = [reply for reply in replies if reply.has_content()]
        self.replies.append(len(valid))
        return super().aggregate_train(server_round, valid)

    def aggregate_evaluate(self, server_round, replies):
        """Take the plain mean, and no weights."""
        found = [r.content["metrics"]["eval_acc"] for r in replies if r.has_content()]
        return MetricRecord({"accuracy": sum(found) / len(found), "clients": len(found)})

    def start(self, grid, initial_arrays, num_rounds=3, timeout=3600, train_config=None):
        """Train, and keep the best model of all rounds."""
        result, arrays = Result(), initial_arrays
        for server_round in range(1, num_rounds + 1):
            messages = self.configure_train(server_round, arrays, train_config, grid)
            replies = grid.send_and_receive(messages, timeout=timeout)
            arrays, metrics = self.aggregate_train(server_round, replies)
            result.train_metrics_clientapp[server_round] = metrics

            messages = self.configure_evaluate(server_round, arrays, ConfigRecord(), grid)
            replies = grid.send_and_receive(messages, timeout=timeout)
            metrics = self.aggregate_evaluate(server_round, replies)
            result.evaluate_metrics_clientapp[server_round] = metrics
            if metrics["accuracy"] > self.best_accuracy:
                self.best_accuracy = metrics["accuracy"]
                self.best = ArrayRecord(dict(arrays))
        result.arrays = arrays
        print("Strategy execution finished")
        return result
