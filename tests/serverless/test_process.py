"""What is loaded for a device's rounds is out of the garbage collector's way."""

from __future__ import annotations

import subprocess
import sys

import networkx as nx
import pytest
import tomli_w

from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.serverless.cluster import free_ports

pytestmark = pytest.mark.slow

APP = """
import gc
from pathlib import Path
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from p2pl_flower import PeerApp
import numpy as np

app = PeerApp()

@app.init()
def init(context, seed):
    return ArrayRecord({"w": Array(np.zeros(3, np.float32))})

@app.train()
def train(message, context):
    loaded = len(gc.get_objects())  # what collecting looks through
    with Path(f"looked-{context.node_config['partition-id']}").open("a") as file:
        file.write(f"{loaded} {gc.get_freeze_count()}\\n")
    metrics = MetricRecord({"num-examples": 1, "train-loss": 0.0})
    arrays = message.content.array_records["arrays"]
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)
"""


def test_collecting_does_not_look_through_libraries(tmp_path) -> None:
    (tmp_path / "watching.py").write_text(APP, encoding="utf-8")
    graph, ports = nx.path_graph(2), free_ports(2)
    make_certificates(tmp_path, graph)
    for k in graph:
        content = {
            "device": k,
            "num-devices": 2,
            "listen": f"127.0.0.1:{ports[k]}",
            "app": "watching:app",
            "rounds": 2,
            "certificates": str(tmp_path),
            "neighbors": {str(1 - k): f"127.0.0.1:{ports[1 - k]}"},
        }
        (tmp_path / f"{k}.toml").write_text(tomli_w.dumps(content), encoding="utf-8")
    command = [sys.executable, "-m", "p2pl_flower", "peer"]
    peers = [subprocess.Popen([*command, f"{k}.toml"], cwd=tmp_path) for k in graph]
    try:
        assert [peer.wait(timeout=120) for peer in peers] == [0, 0]
    finally:
        for peer in peers:
            peer.kill()
    for line in (tmp_path / "looked-0").read_text(encoding="utf-8").splitlines():
        looked_through, kept = map(int, line.split())
        assert kept > 20 * looked_through
