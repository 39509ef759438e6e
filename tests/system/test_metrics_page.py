"""Pages of metrics: what peers and relays say to Prometheus, and to whom."""

from __future__ import annotations

import logging
from urllib.request import urlopen

import pytest

from p2pl_flower.commands.relay import metrics_of
from p2pl_flower.errors import ConfigError
from p2pl_flower.relay.grpc import Endpoint, Waiting
from p2pl_flower.serverless.cluster import free_ports
from p2pl_flower.system.metrics_page import MetricsPage, check_metrics, neighbor_families

pytest.importorskip("prometheus_client")
NEIGHBORS = {
    "1": {"absent": False, "round": 3},
    "2": {"absent": True, "round": None},
}
COUNTS = {1: {"arrived": 2, "given": 1}, 2: {"late": 4}}


def read(address: str) -> list[str]:
    with urlopen(f"http://{address}/metrics", timeout=10) as page:
        return page.read().decode().splitlines()


def test_neighbors_are_told_on_loopback_until_it_is_closed() -> None:
    page = MetricsPage("0", lambda: neighbor_families(NEIGHBORS, COUNTS))
    host, _, port = page.address.rpartition(":")
    assert (host, int(port) > 0) == ("127.0.0.1", True)
    lines = read(page.address)
    assert {
        'p2pl_neighbor_up{neighbor="1"} 1.0',
        'p2pl_neighbor_up{neighbor="2"} 0.0',
        'p2pl_neighbor_round{neighbor="1"} 3.0',
        'p2pl_answers_total{kind="arrived",neighbor="1"} 2.0',
        'p2pl_answers_total{kind="late",neighbor="2"} 4.0',
    } <= set(lines)
    assert not [line for line in lines if line.startswith('p2pl_neighbor_round{neighbor="2"')]
    page.close()
    with pytest.raises(OSError, match="refused"):
        read(page.address)


def test_others_are_let_in_only_where_they_were_named(caplog) -> None:
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        MetricsPage("127.0.0.1:0", list).close()
        assert not caplog.records
        MetricsPage("0.0.0.0:0", list).close()
    assert "whoever reaches 0.0.0.0:" in caplog.text


@pytest.mark.parametrize("address", ["host", "host:x", ":9464", "host:70000"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="must be a port"):
        check_metrics(address)


def test_a_port_in_use_and_a_library_that_is_not_there_are_named(monkeypatch) -> None:
    page = MetricsPage("0", list)
    with pytest.raises(ConfigError, match="cannot be listened at"):
        MetricsPage(page.address, list)
    page.close()
    monkeypatch.setattr("p2pl_flower.system.metrics_page.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'p2pl-flower\[prometheus\]'"):
        check_metrics("9464")


def test_a_relay_has_one_where_it_is_asked_for() -> None:
    port, listen = free_ports(2)
    endpoint = Endpoint(0, f"127.0.0.1:{listen}", None, Waiting())
    endpoint.statistics.given(7)
    with metrics_of(endpoint, ""), pytest.raises(OSError, match="refused"):
        read(f"127.0.0.1:{port}")
    with metrics_of(endpoint, str(port)):
        lines = read(f"127.0.0.1:{port}")
    endpoint.close()
    assert 'p2pl_answers_total{kind="given",neighbor="7"} 1.0' in lines
