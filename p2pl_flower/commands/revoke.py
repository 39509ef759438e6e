"""``p2pl-flower revoke``: the certificates of some devices count no longer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import ConfigError
from ..relay.group import Revocations
from ..relay.group.authority import Authority


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("devices", nargs="+", metavar="NAME", help="their names, or ids")
    parser.add_argument(
        "--authority",
        type=Path,
        default=Path("certificates"),
        help="folder with `ca.pem` and `ca.key`",
    )


def run(options: argparse.Namespace) -> int:
    """Write the next list, and say where it has to go."""
    authority = Authority(options.authority)
    devices = [_device(authority, name) for name in options.devices]
    listed = Revocations.load(options.authority, authority.certificate)
    made = authority.revoke(listed, devices)
    made.save(options.authority)
    sys.stdout.write(
        f"list {made.version} in {options.authority / Revocations.FILE} names devices "
        f"{', '.join(map(str, sorted(made.devices)))}. Peers whose certificates are in this folder "
        "take it up in their next round; copy it into one other peer's folder, and its neighbors "
        "hear of it, and theirs from them.\n"
    )
    return 0


def _device(authority: Authority, name: str) -> int:
    if name.isdecimal():
        return int(name)
    device = authority.device_called(name)
    if device is None:
        rule = "is neither an id nor the name of a device that has joined this group"
        raise ConfigError("devices", name, rule)
    return device
