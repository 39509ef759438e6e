"""What a running peer tells others: a page of metrics, and a tracker."""

from __future__ import annotations

import time
from urllib.error import URLError
from urllib.request import urlopen

import networkx as nx
import pytest
from devices import ended, settings, start

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


def test_a_peers_tracker_is_ended_with_its_process(tmp_path) -> None:
    pytest.importorskip("tensorboardX")
    made = settings(nx.path_graph(2), tmp_path, loggers=f"tensorboard:{tmp_path / 'runs'}")
    processes = [start(values, tmp_path) for values in made.values()]
    assert [ended(process, 60) for process in processes] == [0, 0]
    for device in made:
        assert list((tmp_path / "runs" / f"device-{device}").glob("events.*"))
        assert "Traceback" not in (tmp_path / f"device-{device}.log").read_text()
