"""What memory whole rounds take of peers with one neighbor and with four.

``python -m benchmarks.peer_memory`` runs ``p2pl-flower peer`` on the five devices of a star, as
processes on loopback with certificates: the hub has four neighbors, the leaves have one. They
synchronize, and then train, publish, collect, mix, evaluate and save checkpoints with a model of
100 MB. The app's train function adds a number to one array after the other: the model that an app
builds from the arrays, and its gradients, come on top.

Counted is the peak of a process's resident memory, mapped files included, minus the peak of the
same device in the same run with a model of 10 kB, which is the runtime. Of that, anonymous memory
(sampled) is what cannot be read back from files. Pages of files that no process has mapped, which
the kernel keeps as long as it likes, are no process's memory and not counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import tomli_w
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict

from benchmarks.memory import ANONYMOUS, PEAK, memory
from p2pl_flower import PeerApp
from p2pl_flower.cli import main as p2pl_flower
from p2pl_flower.history import History, environment
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.serverless.cluster import free_ports
from simulations.report import aligned

LEAVES = 4
ARRAYS = 10
BYTES, RUNTIME_BYTES = 100_000_000, 10_000
_SAMPLE_SECONDS = 0.005

app = PeerApp()


@app.init()
def init(context: Context, seed: int) -> ArrayRecord:
    """Draw arrays of single-precision numbers."""
    rng = np.random.default_rng(seed)
    size = int(str(context.run_config["bytes"])) // (4 * ARRAYS)
    return ArrayRecord({f"layer{i}": Array(rng.random(size, np.float32)) for i in range(ARRAYS)})


@app.train()
def train(message: Message, context: Context) -> Message:
    """Add 1 to every array."""
    given = message.content.array_records["arrays"]
    arrays = ArrayRecord({k: Array(a.numpy() + np.float32(1)) for k, a in given.items()})
    metrics = MetricRecord({"num-examples": 1, "train-loss": 0.0})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Look at one array."""
    first = next(iter(message.content.array_records["arrays"].values())).numpy()
    metrics = MetricRecord({"num-examples": 1, "loss": float(first.mean())})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer_memory")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--peer", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parsed = parser.parse_args(arguments)
    if parsed.peer:
        code = p2pl_flower(["peer", parsed.peer])
        Path(parsed.peer).with_suffix(".peak").write_text(str(memory(PEAK)), encoding="utf-8")
        return code
    with tempfile.TemporaryDirectory(dir=".") as folder:  # a disk, where /tmp may be memory
        rows = measure(LEAVES, parsed.rounds, Path(folder).resolve())
    table = [["neighbors", "peak, in models", "of it anonymous", "runtime, MB"]]
    for row in (rows[0], max(rows[1:], key=lambda row: float(row["models"]))):
        figures = [f"{row['models']:.2f}", f"{row['anonymous_models']:.2f}"]
        table.append([str(row["neighbors"]), *figures, f"{row['runtime_bytes'] / 1e6:.0f}"])
    content = {"table": table, "environment": environment(), "bytes": BYTES}
    content |= {"rounds": parsed.rounds, "devices": rows}
    parsed.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(aligned(table))
    return 0


def measure(leaves: int, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """Return what each device of a star takes, in models above the runtime; the hub's first."""
    graph = nx.star_graph(leaves)
    runtime = _run(graph, RUNTIME_BYTES, rounds, folder / "runtime")
    whole = _run(graph, BYTES, rounds, folder / "whole")
    return [_row(graph.degree[d], runtime[d], whole[d]) for d in graph]


def _run(graph: nx.Graph, size: int, rounds: int, folder: Path) -> list[dict[str, int]]:
    """Run all devices with a model of a size; return each one's peaks in bytes."""
    files = _settings(graph, folder, size, rounds)
    command = [sys.executable, "-m", "benchmarks.peer_memory", "--peer"]
    peers = [subprocess.Popen([*command, str(file)]) for file in files]
    try:
        anonymous = _watch(peers)
    finally:
        for peer in peers:
            peer.kill()
            peer.wait()
    for device, peer in enumerate(peers):
        if peer.returncode:
            raise RuntimeError(f"device {device} ended with {peer.returncode}")
        _check(files[device], graph.degree[device], rounds, size)
    peaks = [int(file.with_suffix(".peak").read_text(encoding="utf-8")) for file in files]
    pairs = zip(peaks, anonymous, strict=True)
    return [{"peak": peak, "anonymous": most} for peak, most in pairs]


def _settings(graph: nx.Graph, folder: Path, size: int, rounds: int) -> list[Path]:
    folder.mkdir()
    ports = free_ports(len(graph))
    make_certificates(folder, graph)
    for device in graph:
        content = {
            "device": device,
            "num-devices": len(graph),
            "listen": f"127.0.0.1:{ports[device]}",
            "app": "benchmarks.peer_memory:app",
            "rounds": rounds,
            "sync-steps": nx.diameter(graph),
            "certificates": str(folder),
            "checkpoint": str(folder / f"state-{device}"),
            "history": str(folder / f"{device}.json"),
            "waiting": {"deadline": 600},
            "neighbors": {str(j): f"127.0.0.1:{ports[j]}" for j in graph[device]},
            "run-config": {"bytes": size},
        }
        (folder / f"{device}.toml").write_text(tomli_w.dumps(content), encoding="utf-8")
    return [folder / f"{device}.toml" for device in graph]


def _watch(peers: list[subprocess.Popen[bytes]]) -> list[int]:
    """Wait for all processes to end; return the most anonymous memory that each had."""
    most = [0] * len(peers)
    while any(peer.poll() is None for peer in peers):
        most = [max(m, memory(ANONYMOUS, p.pid)) for m, p in zip(most, peers, strict=True)]
        time.sleep(_SAMPLE_SECONDS)
    return most


def _check(file: Path, degree: int, rounds: int, size: int) -> None:
    """Make sure that all models arrived: a peer that waits in vain needs little memory."""
    [run] = History.load(file.with_suffix(".json")).runs
    if [r.bytes_sent for r in run.rounds] != [degree * size] * rounds:
        raise RuntimeError(f"device {file.stem} missed models of its neighbors")


def _row(degree: int, runtime: dict[str, int], whole: dict[str, int]) -> dict[str, Any]:
    taken = {key: (whole[key] - runtime[key]) / BYTES for key in whole}
    return {
        "neighbors": degree,
        "models": taken["peak"],
        "anonymous_models": taken["anonymous"],
        "runtime_bytes": runtime["peak"],
    }


if __name__ == "__main__":
    sys.exit(main())
