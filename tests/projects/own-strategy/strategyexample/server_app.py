"""strategyexample: A Flower / NumPy app."""

import json
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context
from flwr.serverapp import Grid, ServerApp

from strategyexample.strategy import KeepsBest
from strategyexample.task import start

# Create ServerApp
app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    strategy = KeepsBest(min_available_nodes=2)
    result = strategy.start(
        grid,
        ArrayRecord({name: Array(array) for name, array in start().items()}),
        num_rounds=context.run_config["num-server-rounds"],
        train_config=ConfigRecord({"lr": context.run_config["learning-rate"]}),
    )

    # Save the best model, and what the rounds said
    np.savez("best_model.npz", **{name: a.numpy() for name, a in strategy.best.items()})
    report = {
        "replies": strategy.replies,
        "best": strategy.best_accuracy,
        "clients": {n: dict(m) for n, m in result.evaluate_metrics_clientapp.items()},
    }
    Path("strategy_report.json").write_text(json.dumps(report), encoding="utf-8")
