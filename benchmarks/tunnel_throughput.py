"""How fast a model of 100 MB goes where one end can only dial out, or both.

``python -m benchmarks.tunnel_throughput`` starts three processes on loopback, with certificates: a
peer that publishes, one that fetches, and a rendezvous. The model is fetched in turn from a peer
that can be dialed, from one that can only dial out, over its stream, and through the rendezvous by
a peer that can only dial out, too. What arrives is checked, as always. Compared are the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.relay_throughput import BYTES, RUN, SLOT, _model, _relay, _tell
from p2pl_flower.history import environment
from p2pl_flower.relay.grpc import Credentials, Endpoint, EndpointMailbox, Waiting
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.relay.tunnel import DIAL_OUT, Tunnels
from p2pl_flower.serverless.cluster import free_ports
from simulations.report import aligned

WAYS = {
    "direct": "direct",
    "dial-out": "over the stream of who can only dial out",
    "relay": "through a rendezvous, both can only dial out",
}
ASKED = {"dial-out": 0.7, "relay": 0.4}
_SERVER = 1000


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tunnel_throughput")
    parser.add_argument("--repeats", type=int, default=9, help="times that each is measured")
    parser.add_argument("--publish", metavar="JSON", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parsed = parser.parse_args(arguments)
    if parsed.publish:
        return _publish(json.loads(parsed.publish))
    with tempfile.TemporaryDirectory() as folder:
        make_certificates(Path(folder), [0, 1, _SERVER])
        seconds = _measure(folder, parsed.repeats)
    medians = {way: statistics.median(taken) for way, taken in seconds.items()}
    ratios = {way: medians["direct"] / taken for way, taken in medians.items()}
    shown = _table(medians, ratios)
    content = {"table": shown, "environment": environment(), "bytes": BYTES}
    content |= {"asked": ASKED, "ratios": ratios, "seconds": seconds}
    parsed.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(aligned(shown))
    return 0


def _measure(folder: str, repeats: int) -> dict[str, list[float]]:
    ports = free_ports(4)
    rendezvous, direct, listens, _ = (f"127.0.0.1:{port}" for port in ports)
    own = ["--listen", rendezvous, "--certificates", folder, "--device", str(_SERVER)]
    server = subprocess.Popen(
        [sys.executable, "-m", "p2pl_flower", "rendezvous", *own], stdout=subprocess.PIPE
    )
    told = {"folder": folder, "rendezvous": rendezvous, "direct": direct, "listens": listens}
    command = [sys.executable, "-m", "benchmarks.tunnel_throughput", "--publish", json.dumps(told)]
    publisher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None  # noqa: S101
        assert publisher.stdout is not None  # noqa: S101
        server.stdout.readline()
        publisher.stdout.readline()
        return _fetch(told, repeats)
    finally:
        for process in (server, publisher):
            process.kill()
            process.communicate()


def _publish(told: dict[str, str]) -> int:
    """Be the peer that publishes: one endpoint for each way."""
    endpoints = [_endpoint(0, way, told) for way in WAYS]
    model = _model()
    for endpoint in endpoints:
        EndpointMailbox(endpoint, RUN).publish(SLOT, model)
    del model
    _tell({})
    sys.stdin.read()
    return 0


def _fetch(told: dict[str, str], repeats: int) -> dict[str, list[float]]:
    """Be the peer that fetches; return seconds by the way."""
    endpoints = {way: _endpoint(1, way, told) for way in WAYS}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for endpoint in endpoints.values():
        EndpointMailbox(endpoint, RUN).publish(SLOT, _model())
        _relay(endpoint)  # warms up
    for _ in range(repeats):
        for way, endpoint in endpoints.items():
            seconds[way].append(_relay(endpoint))
    for endpoint in endpoints.values():
        endpoint.close()
    return seconds


def _endpoint(device: int, way: str, told: dict[str, str]) -> Endpoint:
    """Return a device's end of a way, which is open."""
    credentials = Credentials.load(told["folder"], device)
    listens = {
        ("direct", 0): told["direct"],
        ("direct", 1): "127.0.0.1:0",
        ("dial-out", 1): told["listens"],
    }
    listen = listens.get((way, device), DIAL_OUT)
    tunnels = None
    if way != "direct":
        rendezvous = told["rendezvous"] if way == "relay" else ""
        tunnels = Tunnels(device, listen, credentials, rendezvous)
    endpoint = Endpoint(device, listen, credentials, Waiting(deadline=120), tunnels=tunnels)
    endpoint.open(RUN)
    other = {("direct", 1): told["direct"], ("dial-out", 0): told["listens"]}
    endpoint.meet(RUN, {1 - device: other.get((way, device), DIAL_OUT)})
    endpoint.start()
    return endpoint


def _table(medians: dict[str, float], ratios: dict[str, float]) -> list[list[str]]:
    rows = [["100 MB between two peers, TLS both ways", "seconds", "MB/s", "of direct"]]
    for way, taken in medians.items():
        figures = [f"{taken:.3f}", f"{BYTES / taken / 1e6:,.0f}", f"{ratios[way]:.2f}"]
        rows.append([WAYS[way], *figures])
    return rows


if __name__ == "__main__":
    sys.exit(main())
