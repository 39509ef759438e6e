"""``p2pl-flower rendezvous``: where devices meet that cannot be dialed."""

from __future__ import annotations

import argparse
import logging
import sys

from ..errors import ConfigError
from ..relay.grpc import Credentials
from ..relay.tunnel import serve_rendezvous
from ..system.logs import configure_log
from ..system.signals import wait_for_a_signal

log = logging.getLogger("flwr.p2pl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--listen", required=True, help="host:port that all devices can dial")
    parser.add_argument(
        "--certificates",
        default="",
        help="folder with `ca.pem` and the certificate and key of --device",
    )
    parser.add_argument(
        "--device",
        type=int,
        default=0,
        help="whose certificate to show: make one that is no peer's, `p2pl-flower certs "
        "--devices 1000`",
    )
    parser.add_argument("--insecure", action="store_true", help="go without certificates and TLS")
    parser.add_argument(
        "--most-connections",
        type=int,
        default=512,
        help="connections at the same time: one for each device, and four for each link in use",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    configure_log(logging.INFO)
    if bool(options.certificates) == options.insecure:
        rule = "name the folder that `p2pl-flower certs` made, or ask for --insecure"
        raise ConfigError("certificates", options.certificates, rule)
    if options.most_connections < 1:
        raise ConfigError("most-connections", options.most_connections, "must be 1 or more")
    credentials = None
    if not options.insecure:
        credentials = Credentials.load(options.certificates, options.device)
    door = serve_rendezvous(options.listen, credentials, options.most_connections)
    address = f"{options.listen.rpartition(':')[0]}:{door.port}"
    sys.stdout.write(f"rendezvous at {address}: devices name it as `rendezvous`\n")
    sys.stdout.flush()
    try:
        wait_for_a_signal()
    finally:
        door.close()
    return 0
