"""A running peer's page of metrics, read as Prometheus does."""

from __future__ import annotations

import time
from urllib.error import URLError
from urllib.request import urlopen

import networkx as nx
import pytest
from devices import settings, start

from p2pl_flower.serverless.cluster import free_ports

pytestmark = pytest.mark.slow
parser = pytest.importorskip("prometheus_client.parser")


def samples(port: int) -> dict[tuple[str, ...], float]:
    """Return what the page says, by names and labels; nothing while there is none."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            text = page.read().decode()
    except URLError:
        return {}
    families = parser.text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for f in families for s in f.samples}


def test_a_peer_says_how_far_it_is_and_what_neighbors_answer(tmp_path) -> None:
    made = settings(nx.path_graph(2), tmp_path, rounds=10_000)
    [port] = free_ports(1)
    made[0]["metrics"] = str(port)
    processes = [start(values, tmp_path) for values in made.values()]
    try:
        until = time.monotonic() + 60
        while (told := samples(port)).get(("p2pl_rounds_done",), 0) < 2:
            assert time.monotonic() < until, (tmp_path / "device-0.log").read_text()
            time.sleep(0.05)
    finally:
        for process in processes:
            process.kill()
            process.join()
    assert told["p2pl_rounds",] == 10_000
    assert told["p2pl_neighbor_up", "1"] == 1
    assert told["p2pl_received_bytes_total", "1"] > 0
    assert told["p2pl_answers_total", "arrived", "1"] >= 2
    assert told["p2pl_round_seconds",] > 0
    assert told["process_resident_memory_bytes",] > 0
