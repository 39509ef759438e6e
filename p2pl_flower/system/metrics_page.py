"""A page of metrics for Prometheus: off unless asked for, on loopback unless told otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from ..errors import ConfigError

log = logging.getLogger("flwr.p2pl")

LOOPBACK = "127.0.0.1"
_LOOPBACKS = (LOOPBACK, "localhost", "[::1]")

Collect = Callable[[], Iterable[Any]]
"""Returns metric families of prometheus_client."""


class MetricsPage:
    """Serves metrics at ``http://host:port/metrics`` until it is closed.

    Parameters
    ----------
    address : str
        ``PORT`` of loopback, or ``host:port``; port 0 is any that is free.
    collect : Callable
        Is asked for the metrics whenever somebody reads the page.

    Raises
    ------
    ConfigError
        The address is none, cannot be listened at, or prometheus-client is not there.
    """

    def __init__(self, address: str, collect: Collect) -> None:
        check_metrics(address)
        from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

        host, port = _parts(address)
        registry = CollectorRegistry()
        registry.register(_Collector(collect))  # type: ignore[arg-type, unused-ignore]
        ProcessCollector(registry=registry)
        try:
            self._server, self._thread = start_http_server(port, host.strip("[]"), registry)
        except OSError as error:
            rule = f"cannot be listened at ({error.strerror}): choose another port"
            raise ConfigError("metrics", address, rule) from None
        self.address = f"{host}:{self._server.server_port}"
        if host not in _LOOPBACKS:
            log.warning("metrics, as asked for: whoever reaches %s can read them", self.address)

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Collector:
    def __init__(self, collect: Collect) -> None:
        self.collect = collect


def check_metrics(address: str) -> None:
    """Refuse an address that is none, and any where prometheus-client is not there.

    Raises
    ------
    ConfigError
        Says which; an empty text asks for nothing.
    """
    if not address:
        return
    _parts(address)
    if find_spec("prometheus_client") is None:
        rule = "needs prometheus-client: pip install 'p2pl-flower[prometheus]'"
        raise ConfigError("metrics", address, rule)


def neighbor_families(
    neighbors: Mapping[str, Mapping[str, Any]], counts: Mapping[int, Mapping[str, int]]
) -> list[Any]:
    """Return what is known of neighbors as metric families.

    Parameters
    ----------
    neighbors : Mapping
        Each as an endpoint describes it.
    counts : Mapping
        What became of models: by neighbor, then by kind. -1 stands for all strangers.
    """
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    label = ["neighbor"]
    up = GaugeMetricFamily("p2pl_neighbor_up", "1 while a neighbor answers.", labels=label)
    at = GaugeMetricFamily("p2pl_neighbor_round", "Round that a neighbor is in.", labels=label)
    for neighbor, known in neighbors.items():
        up.add_metric([neighbor], float(not known["absent"]))
        if known["round"] is not None:
            at.add_metric([neighbor], float(known["round"]))
    text = "What became of models: arrived, given, or why they were refused."
    answers = CounterMetricFamily("p2pl_answers", text, labels=["neighbor", "kind"])
    for caller, kinds in counts.items():
        for kind, count in kinds.items():
            answers.add_metric([str(caller), kind], float(count))
    return [up, at, answers]


def _parts(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) < 65536) or address[:1] == ":":
        rule = f"must be a port, which is listened at on {LOOPBACK}, or host:port"
        raise ConfigError("metrics", address, rule)
    return host or LOOPBACK, int(port)
