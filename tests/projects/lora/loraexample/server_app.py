"""loraexample: A Flower / PEFT app."""

import torch
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from loraexample.task import get_model, get_weights

# Create ServerApp
app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    rank: int = context.run_config["lora-rank"]
    num_rounds: int = context.run_config["num-server-rounds"]
    torch.manual_seed(1)
    arrays = ArrayRecord(get_weights(get_model(rank), rank))

    # Initialize FedAvg strategy
    strategy = FedAvg()

    # Start strategy, run FedAvg for `num_rounds`
    result = strategy.start(grid=grid, initial_arrays=arrays, num_rounds=num_rounds)

    # Save final model to disk
    torch.save(result.arrays.to_torch_state_dict(), "final_model.pt")
