"""The simulated clock beside real peers on a network whose links are slowed down.

``sudo python -m benchmarks.clock_network`` starts eight peers on a ring, each on a host of its own
(network namespaces of this machine, whose packets all go through a router in this process), has
them train by waiting for a second, one of them for two, and send each other models of half a
megabyte, and notes what their rounds took, the first left out. The same is asked of the clock. A
host's uplink is shared by its two links, evenly, which takes as long as one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import tomli_w

from p2pl_flower.history import History, environment
from p2pl_flower.options import Clock, Timing, step_of
from p2pl_flower.topology.neighborhood import directions

DEVICES, ROUNDS, SLOW = 8, 6, 3
NUMBERS = 125_000  # of 4 bytes each
UPLINK, DELAY = 200_000.0, 0.05  # bytes a second; seconds
SECONDS = [2.0 if device == SLOW else 1.0 for device in range(DEVICES)]
GRAPH = nx.cycle_graph(DEVICES)
HOSTS = Path(__file__).parents[1] / "tests" / "serverless"

APP = f"""
import time
import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from p2pl_flower import PeerApp

app = PeerApp()

@app.init()
def init(context, seed):
    return ArrayRecord({{"w": Array(np.full({NUMBERS}, seed % 7, np.float32))}})

@app.train()
def train(message, context):
    time.sleep(float(context.run_config["seconds"]))
    model = {{"arrays": message.content["arrays"], "m": MetricRecord({{"num-examples": 1}})}}
    return Message(RecordDict(model), reply_to=message)
"""


def main(arguments: list[str] | None = None) -> int:
    """Measure, simulate, write the JSON and print both."""
    line = argparse.ArgumentParser(description=__doc__)
    line.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parsed = line.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder))
        simulated = simulate(Path(folder))
    rows = [
        ["seconds a round", "measured", "simulated", "apart"],
        ["mean", f"{measured:.2f}", f"{simulated:.2f}", f"{simulated / measured - 1:+.1%}"],
    ]
    content = {
        "environment": environment(),
        "setting": {
            "devices": DEVICES,
            "rounds": ROUNDS,
            "model_bytes": 4 * NUMBERS,
            "uplink_bytes_per_second": UPLINK,
            "delay_seconds": DELAY,
            "training_seconds": SECONDS,
        },
        "measured": measured,
        "simulated": simulated,
        "table": rows,
    }
    parsed.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write("".join(" | ".join(row) + "\n" for row in rows))
    return 0


def measure(folder: Path) -> float:
    """Return the mean seconds of a round of real peers, the first round left out."""
    sys.path.insert(0, str(HOSTS))
    router = import_module("tun_router")
    (folder / "clock_app.py").write_text(APP)
    with router.TunRouter(f"c{os.getpid() % 100_000}") as made:
        address = {device: made.host(f"d{device}") for device in GRAPH}
        link = router.Link(DELAY, UPLINK / 2, queue=5.0)
        for one, other in GRAPH.edges:
            made.link(f"d{one}", f"d{other}", link)
        running = []
        for device in GRAPH:
            file = folder / f"device-{device}.toml"
            file.write_text(tomli_w.dumps(settings(device, address, folder)))
            command = [sys.executable, "-m", "p2pl_flower", "peer", str(file)]
            where = {**os.environ, "PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}"}
            with file.with_suffix(".log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        made.command(f"d{device}", command), env=where, stdout=log, stderr=log
                    )
                )
        codes = [process.wait(timeout=500) for process in running]
    if any(codes):
        sys.stderr.write((folder / "device-0.log").read_text()[-2000:])
        raise SystemExit(f"peers ended with {codes}")
    rounds = [History.load(folder / f"device-{d}.json").runs[0].rounds[1:] for d in GRAPH]
    return statistics.fmean(r.seconds or 0.0 for own in rounds for r in own)


def settings(device: int, address: dict[int, str], folder: Path) -> dict[str, Any]:
    """Return a peer's settings."""
    return {
        "device": device,
        "num-devices": DEVICES,
        "listen": f"{address[device]}:9400",
        "neighbors": {str(j): f"{address[j]}:9400" for j in sorted(GRAPH[device])},
        "insecure": True,
        "app": "clock_app:app",
        "rounds": ROUNDS,
        "init": "seed",
        "evaluate-every": 0,
        "start": 240.0,
        "linger": 60.0,
        "history": str(folder / f"device-{device}.json"),
        "run-config": {"seconds": SECONDS[device]},
    }


def simulate(folder: Path) -> float:
    """Return the mean seconds of a round by the clock, the first round left out."""
    trace = folder / "speeds.csv"
    trace.write_text("".join(f"{1 / seconds}\n" for seconds in SECONDS))
    rates = f"rates:up={UPLINK * 8e-6},down=1000,delay={1e3 * DELAY}"
    clock = Clock(rates, f"trace:path={trace}", operations=1e9)
    timing = Timing.of(clock, DEVICES, NUMBERS)
    if timing is None:
        raise SystemExit("there is no clock")
    to, source = directions(GRAPH)
    step = step_of(GRAPH, to, source, np.full(len(to), True))
    everybody, sent = np.arange(DEVICES), np.full(DEVICES, 2 * 4 * NUMBERS)
    took = [
        timing.gossip(number, everybody, np.ones(DEVICES), [step], sent)
        for number in range(1, ROUNDS + 1)
    ]
    own = [elapsed.busy.mean + elapsed.waiting.mean for elapsed in took[1:]]
    return statistics.fmean(own)


if __name__ == "__main__":
    sys.exit(main())
