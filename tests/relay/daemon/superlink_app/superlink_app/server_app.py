"""The ServerApp: prints what went through the SuperLink."""

import json
import time
from pathlib import Path

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from p2pl_flower import P2PL, GrpcRelay
from p2pl_flower.flower.grids import MeteredGrid

app = ServerApp()


class Gate:
    """Says who has trained in a round, and waits until a file lets it go on."""

    def __init__(self, folder: str) -> None:
        self.folder, self.strategy = folder, None

    def on_round(self, measured) -> None:
        trained = sorted(self.strategy.train_metrics)
        print(f"TRAINED {json.dumps([measured.round, trained])}", flush=True)  # noqa: T201
        end = time.monotonic() + 300
        while self.folder and not Path(self.folder, f"go-{measured.round}").exists():
            assert time.monotonic() < end
            time.sleep(0.1)


@app.main()
def main(grid: Grid, context: Context) -> None:
    metered = MeteredGrid(grid)
    algorithm = str(context.run_config["algorithm"])
    gate, count = Gate(str(context.run_config["gate"])), int(context.run_config["devices"])
    options = {"algorithm": algorithm, "num_devices": count, "relay": GrpcRelay()}
    strategy = gate.strategy = P2PL("complete", **options, on_round=gate)
    result = strategy.start(metered, ArrayRecord(), int(context.run_config["rounds"]))
    said = {
        "arrays": len(result.arrays),
        "through_superlink": metered.total_bytes,
        "array_bytes": sum(metered.array_bytes.values()),
        "between_devices": [r.bytes_sent for r in strategy.rounds],
        "loss": [[r.after_consensus.loss.min, r.after_consensus.loss.max] for r in strategy.rounds],
    }
    print("SAID " + json.dumps(said), flush=True)  # noqa: T201
