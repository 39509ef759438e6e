"""``p2pl-flower invite``: one line of text that lets one device into a group."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import ConfigError
from ..relay.group.authority import Authority
from ..serverless.addresses import check_address


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "address", help="host:port of the peer that lets devices in: it has `authority` set"
    )
    parser.add_argument(
        "--authority",
        type=Path,
        default=Path("certificates"),
        help="folder with `ca.pem` and `ca.key`",
    )
    parser.add_argument("--name", default="", help="what the device is to be called")
    parser.add_argument("--hours", type=float, default=1.0, help="how long the invitation holds")


def run(options: argparse.Namespace) -> int:
    """Print the invitation."""
    check_address("address", options.address, may_dial_out=False)
    if not 0 < options.hours <= 24 * 366:
        raise ConfigError("hours", options.hours, "must be above 0, and a year at most")
    authority = Authority(options.authority)
    made = authority.invite(options.address, 3600 * options.hours, options.name)
    sys.stdout.write(made.text() + "\n")
    sys.stderr.write(
        f"It lets one device in for {options.hours:g} hours: give it on by a way you trust. There, "
        "`p2pl-flower join --invitation ...`\n"
    )
    return 0
