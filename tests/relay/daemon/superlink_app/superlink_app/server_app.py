"""The ServerApp: prints what went through the SuperLink."""

import json

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from p2pl_flower import P2PL, GrpcRelay
from p2pl_flower.flower.grids import MeteredGrid

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    metered = MeteredGrid(grid)
    algorithm = str(context.run_config["algorithm"])
    strategy = P2PL("complete", algorithm=algorithm, num_devices=2, relay=GrpcRelay())
    result = strategy.start(metered, ArrayRecord(), int(context.run_config["rounds"]))
    said = {
        "arrays": len(result.arrays),
        "through_superlink": metered.total_bytes,
        "array_bytes": sum(metered.array_bytes.values()),
        "between_devices": [r.bytes_sent for r in strategy.rounds],
        "loss": [[r.after_consensus.loss.min, r.after_consensus.loss.max] for r in strategy.rounds],
    }
    print("SAID " + json.dumps(said), flush=True)  # noqa: T201
