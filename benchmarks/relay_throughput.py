"""How fast a model of 100 MB goes from one peer to another, and what memory that takes.

``python -m benchmarks.relay_throughput`` starts two processes on loopback, with certificates.
One publishes; the other fetches, in turn, the model through the relay (which checks it) and the
same bytes through a bare gRPC stream of equal chunks over the same kind of TLS connection,
where they are thrown away. A peer's memory is the peak of its resident memory, mapped files
included, minus what its process took before it had a model. It counts the model that is published,
which the benchmark draws in memory; publications and what arrives are in files. Whole rounds are
measured by `benchmarks.peer_memory`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.memory import NOW, PEAK, memory
from p2pl_flower.history import environment
from p2pl_flower.relay import Slot
from p2pl_flower.relay.grpc import Credentials, Endpoint, EndpointMailbox, Waiting, protocol
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.relay.grpc.credentials import host_name
from simulations.report import aligned

BYTES = 100_000_000
RUN, SLOT = "1", Slot("model", 1, 0)
BARE = "/bare.Stream/Bytes"
CHUNKS = (1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22)


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relay_throughput")
    parser.add_argument("--repeats", type=int, default=9, help="times that both are measured")
    parser.add_argument("--publish", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parsed = parser.parse_args(arguments)
    if parsed.publish:
        return _publish(parsed.publish)
    with tempfile.TemporaryDirectory() as folder:
        make_certificates(Path(folder), [0, 1])
        command = [sys.executable, "-m", "benchmarks.relay_throughput", "--publish", folder]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdin is not None  # noqa: S101
            assert other.stdout is not None  # noqa: S101
            places = json.loads(other.stdout.readline())
            result = _fetch(folder, places, parsed.repeats)
            other.stdin.close()  # which ends it
            publisher = json.loads(other.stdout.readline())
    result["memory_in_models"]["publisher"] = publisher["peak_bytes"] / BYTES
    content = {"table": _table(result), "environment": environment(), "bytes": BYTES, **result}
    parsed.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(aligned(content["table"]))
    return 0


def _publish(folder: str) -> int:
    """Be the peer that publishes, and the bare stream beside it."""
    credentials = Credentials.load(folder, 0)
    endpoint = Endpoint(0, "127.0.0.1:0", credentials)
    endpoint.open(RUN)
    endpoint.meet(RUN, {1: "127.0.0.1:1"})
    before = memory(NOW)
    EndpointMailbox(endpoint, RUN).publish(SLOT, _model())
    endpoint.start()
    bare = grpc.server(ThreadPoolExecutor(4), options=protocol.MESSAGE_OPTIONS)
    bare.add_generic_rpc_handlers((_Bare(),))
    port = bare.add_secure_port("127.0.0.1:0", credentials.for_server())
    bare.start()
    _tell({"relay": endpoint.address, "bare": f"127.0.0.1:{port}"})
    sys.stdin.read()
    _tell({"peak_bytes": memory(PEAK) - before})
    bare.stop(0).wait()
    endpoint.close()
    return 0


class _Bare(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Streams as many bytes as the model has, in chunks of the size that is asked for.

    They come from one block over and over, for the publisher's memory to be the relay's alone.
    """

    def __init__(self) -> None:
        self._block = memoryview(np.random.default_rng(1).bytes(max(CHUNKS)))

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_stream_rpc_method_handler(self._stream)

    def _stream(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        size = int(request)
        for start in range(0, BYTES, size):
            yield bytes(self._block[: min(size, BYTES - start)])


def _fetch(folder: str, places: dict[str, str], repeats: int) -> dict[str, Any]:
    """Be the peer that fetches; return seconds by what was done, and memory."""
    credentials = Credentials.load(folder, 1)
    endpoint = Endpoint(1, "127.0.0.1:0", credentials, Waiting(deadline=120))
    endpoint.open(RUN)
    endpoint.meet(RUN, {0: places["relay"]})
    before = memory(NOW)
    EndpointMailbox(endpoint, RUN).publish(SLOT, _model())
    endpoint.start()
    options = [*protocol.MESSAGE_OPTIONS, ("grpc.ssl_target_name_override", host_name(0))]
    channel = grpc.secure_channel(places["bare"], credentials.for_channel(), options)
    seconds: dict[str, list[float]] = {"relay": [], "bare": []}
    for number in range(repeats + 1):
        relay, bare = _relay(endpoint), _bare(channel, protocol.CHUNK_BYTES)
        if number:  # the first one warms up
            seconds["relay"].append(relay)
            seconds["bare"].append(bare)
    peak = memory(PEAK) - before
    by_chunk = {size: min(_bare(channel, size) for _ in range(3)) for size in CHUNKS}
    channel.close()
    endpoint.close()
    ratios = [b / r for r, b in zip(seconds["relay"], seconds["bare"], strict=True)]
    return {
        "seconds": seconds,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "chunk_bytes": protocol.CHUNK_BYTES,
        "bare_seconds_by_chunk_bytes": by_chunk,
        "memory_in_models": {"receiver": peak / BYTES},
    }


def _relay(endpoint: Endpoint) -> float:
    started = time.perf_counter()
    arrived = EndpointMailbox(endpoint, RUN).collect([0], SLOT)
    taken = time.perf_counter() - started
    if sum(array.nbytes for array in arrived[0].values()) != BYTES:
        raise RuntimeError("not all of the model has arrived")
    return taken


def _bare(channel: grpc.Channel, size: int) -> float:
    started = time.perf_counter()
    total = sum(map(len, channel.unary_stream(BARE)(str(size).encode())))
    taken = time.perf_counter() - started
    if total < BYTES:
        raise RuntimeError("not all bytes have arrived")
    return taken


def _model() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {f"layer{i}": rng.random(BYTES // 40, np.float32) for i in range(10)}


def _tell(fields: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _table(result: dict[str, Any]) -> list[list[str]]:
    def row(name: str, key: str) -> list[str]:
        taken = statistics.median(result["seconds"][key])
        return [name, f"{taken:.3f}", f"{BYTES / taken / 1e6:,.0f}"]

    return [
        ["100 MB between two peers, TLS both ways", "seconds", "MB/s"],
        row("relay, with all checks", "relay"),
        row("bare gRPC stream of the same chunks", "bare"),
        ["relay / bare", f"{result['ratio']:.2f}", ""],
    ]


if __name__ == "__main__":
    sys.exit(main())
