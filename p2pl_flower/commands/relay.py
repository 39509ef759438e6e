"""``p2pl-flower relay``: the mailbox that stands beside a SuperNode."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from ..config import add_argument, keys
from ..errors import ConfigError
from ..relay.daemon.server import LocalServer
from ..relay.grpc import Credentials, Endpoint, Waiting
from ..system import open_files
from ..system.allocator import share_one_arena
from ..system.logs import FORMATS, configure_log
from ..system.metrics_page import MetricsPage, neighbor_families
from ..system.signals import wait_for_a_signal

log = logging.getLogger("flwr.p2pl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--device", type=int, required=True, help="the SuperNode's partition-id")
    parser.add_argument("--listen", required=True, help="host:port for neighbors' relays")
    parser.add_argument(
        "--address", default="", help="host:port that neighbors are told; --listen's if left out"
    )
    parser.add_argument(
        "--local",
        default="",
        help="unix:PATH or loopback host:port for the ClientApp, and for nobody beyond this "
        "machine; unix:.../p2pl-relay-N.sock in the folder for temporary files if left out",
    )
    parser.add_argument("--certificates", default="", help="folder that `p2pl-flower certs` made")
    parser.add_argument("--insecure", action="store_true", help="go without certificates and TLS")
    add_argument(parser, keys(Waiting)["quorum"])
    add_argument(parser, keys(Waiting)["deadline"])
    parser.add_argument(
        "--metrics",
        default="",
        help="port of a page of metrics for Prometheus, on loopback, or host:port",
    )
    parser.add_argument("--verbose", action="store_true", help="log every refusal, not the first")
    parser.add_argument("--log-file", default="", help="file to log to, instead of standard error")
    parser.add_argument("--log-format", default="text", help=" or ".join(FORMATS))


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    share_one_arena()
    open_files.raise_limit()
    level = logging.DEBUG if options.verbose else logging.INFO
    configure_log(level, options.log_file, options.log_format)
    _check(options)
    credentials = None
    if options.insecure:
        log.warning("insecure, as asked for: whoever reaches %s can read models", options.listen)
    else:
        credentials = Credentials.load(options.certificates, options.device)
    waiting = Waiting(options.quorum, options.deadline)
    endpoint = Endpoint(options.device, options.listen, credentials, waiting)
    endpoint.address = options.address or endpoint.address
    try:
        with metrics_of(endpoint, options.metrics):
            _serve(endpoint, options.local)
    finally:
        endpoint.close()
        for neighbor, counts in endpoint.statistics.counts().items():
            log.info("neighbor %d: %s", neighbor, counts)
    return 0


@contextlib.contextmanager
def metrics_of(endpoint: Endpoint, address: str) -> Iterator[None]:
    """Serve a page of an endpoint's metrics, where an address asks for one."""
    if not address:
        yield
        return

    def collect() -> list[Any]:
        return neighbor_families(endpoint.describe(), endpoint.statistics.counts())

    page = MetricsPage(address, collect)
    log.info("metrics at http://%s/metrics", page.address)
    try:
        yield
    finally:
        page.close()


def _check(options: argparse.Namespace) -> None:
    if bool(options.certificates) == options.insecure:
        rule = "name the folder that `p2pl-flower certs` made, or ask for --insecure"
        raise ConfigError("certificates", options.certificates, rule)
    if not options.address and options.listen.rpartition(":")[0] in ("0.0.0.0", "[::]"):  # noqa: S104
        rule = "must say host:port as neighbors reach this relay, since it listens everywhere"
        raise ConfigError("address", options.address, rule)


def _serve(endpoint: Endpoint, local: str) -> None:
    local = local or f"unix:{tempfile.gettempdir()}/p2pl-relay-{endpoint.device}.sock"
    server = LocalServer(local, endpoint)
    endpoint.start()
    server.start()
    sys.stdout.write(
        f"relay of device {endpoint.device}: neighbors reach it at {endpoint.address}; "
        f"start the SuperNode with --node-config 'p2pl-relay=\"{server.address}\"'\n"
    )
    sys.stdout.flush()
    wait_for_a_signal()
    server.close()
