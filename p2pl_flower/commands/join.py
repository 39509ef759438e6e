"""``p2pl-flower join``: from an invitation to a device that trains with the others."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import tomli_w

from ..errors import ConfigError
from ..relay.group import Invitation
from ..relay.group.joining import has_joined, join_group
from ..relay.tunnel import DIAL_OUT
from ..serverless.addresses import check_address, is_everywhere
from ..serverless.discovery import find_admitting
from ..serverless.newcomers import settings_of
from ..system.files import write_text
from . import peer

FILE = "device.toml"
FIND_SECONDS = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "place", nargs="?", default="", help="host:port, where it is not what the invitation says"
    )
    parser.add_argument(
        "--invitation",
        default=os.environ.get("P2PL_INVITATION", ""),
        help="the line that `p2pl-flower invite` has printed; else $P2PL_INVITATION",
    )
    parser.add_argument("--name", default="", help="what this device is to be called")
    parser.add_argument(
        "--listen",
        default=DIAL_OUT,
        help="host:port to be reached at; dial-out, the default, if nobody can dial this device",
    )
    parser.add_argument(
        "--address", default="", help="host:port that others are told; --listen's if left out"
    )
    parser.add_argument("--rendezvous", default="", help="host:port of a rendezvous, if there is")
    parser.add_argument(
        "--out", type=Path, default=Path("p2pl-device"), help="folder for all that this device has"
    )
    parser.add_argument("--app", default="", help="the ClientApp, where it is called otherwise")
    parser.add_argument("--only-join", action="store_true", help="write the files, and run nothing")
    peer.add_running(parser)


def run(options: argparse.Namespace) -> int:
    """Join, unless that was done before, and run the device."""
    options.settings = options.out / FILE
    if options.settings.exists():
        sys.stdout.write(f"{options.settings} is there: this device has joined before\n")
    else:
        _join(options)
    return 0 if options.only_join else peer.run(options)


def _join(options: argparse.Namespace) -> None:
    _check(options)
    invitation = Invitation.read(options.invitation)
    address = options.address or options.listen
    place = options.place
    if options.discover is not None and not place:
        place = find_admitting(invitation.authority, options.discover, FIND_SECONDS)
    joined = join_group(invitation, options.out, options.name, address, place)
    own: dict[str, Any] = {"listen": options.listen, "certificates": ".", "checkpoint": "state"}
    optional = {"address": options.address, "rendezvous": options.rendezvous, "app": options.app}
    own |= {key: value for key, value in optional.items() if value}
    made = settings_of(joined, own)
    write_text(options.settings, tomli_w.dumps({k: v for k, v in made.items() if v != ""}))
    has_joined(options.out)
    sys.stdout.write(
        f"joined as device {joined.device}, called {joined.name}; all that it has is in "
        f"{options.out}\n"
    )
    sys.stdout.flush()


def _check(options: argparse.Namespace) -> None:
    if not options.invitation:
        raise ConfigError("invitation", "", "is needed: `p2pl-flower invite` prints one")
    if options.place:
        check_address("place", options.place, may_dial_out=False)
    check_address("listen", options.listen)
    if options.address:
        check_address("address", options.address)
    elif is_everywhere(options.listen):
        rule = "must say host:port as others reach this device, since it listens everywhere"
        raise ConfigError("address", "", rule)
