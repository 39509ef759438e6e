"""scheduleexample: A Flower / PyTorch app."""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from scheduleexample.task import Net, load_centralized_dataset, test

# Create ServerApp
app = ServerApp()


class CustomFedAvg(FedAvg):
    """Halves the learning rate after every round."""

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Configure the next round of federated training."""
        if server_round > 1:
            config["lr"] *= 0.5
        # Pass the updated config and the rest of arguments to the parent class
        return super().configure_train(server_round, arrays, config, grid)


def worst_and_mean(records: list[RecordDict], weighting_metric_name: str) -> MetricRecord:
    """Aggregate the clients' accuracies in a way of our own."""
    accuracies = [next(iter(r.metric_records.values()))["eval_acc"] for r in records]
    return MetricRecord({"worst": min(accuracies), "mean": sum(accuracies) / len(accuracies)})


def global_evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    """Evaluate model on central data."""
    model = Net()
    model.load_state_dict(arrays.to_torch_state_dict())
    loss, accuracy = test(model, load_centralized_dataset(), torch.device("cpu"))
    return MetricRecord({"accuracy": accuracy, "loss": loss})


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    # Load global model
    torch.manual_seed(1)
    arrays = ArrayRecord(Net().state_dict())

    # Initialize strategy
    strategy = CustomFedAvg(
        min_available_nodes=2,
        evaluate_metrics_aggr_fn=worst_and_mean,
    )

    # Start strategy
    result = strategy.start(
        grid=grid,
        initial_arrays=arrays,
        train_config=ConfigRecord({"lr": context.run_config["learning-rate"]}),
        num_rounds=context.run_config["num-server-rounds"],
        evaluate_fn=global_evaluate,
    )

    # Go on with the result: test the final model once more, save it, and write a report
    final = Net()
    final.load_state_dict(result.arrays.to_torch_state_dict())
    loss, accuracy = test(final, load_centralized_dataset(), torch.device("cpu"))
    torch.save(final.state_dict(), "final_model.pt")
    report = {
        "final": {"loss": loss, "accuracy": accuracy},
        "central": {r: dict(m) for r, m in result.evaluate_metrics_serverapp.items()},
        "clients": {r: dict(m) for r, m in result.evaluate_metrics_clientapp.items()},
    }
    Path("report.json").write_text(json.dumps(report), encoding="utf-8")
    print(f"Final accuracy on central data: {accuracy:.4f}")
