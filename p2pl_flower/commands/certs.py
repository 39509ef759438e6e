"""``p2pl-flower certs``: a CA, and a certificate and key for each device."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import ConfigError
from ..relay.grpc.certificates import make_certificates


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "--devices",
        required=True,
        help="how many (8 means 0 to 7), or which: 3,5 or 8-11",
    )
    parser.add_argument("--out", type=Path, default=Path("certificates"), help="folder to write")
    parser.add_argument("--days", type=float, default=365.0, help="how long they are valid")


def run(options: argparse.Namespace) -> int:
    """Write the files and say who needs which."""
    if not 0 < options.days < 36500:
        raise ConfigError("days", options.days, "must be above 0 and below 36500")
    devices = parse_devices(options.devices)
    written = make_certificates(options.out, devices, options.days)
    for path in written:
        sys.stdout.write(f"{path}\n")
    sys.stdout.write(
        f"{len(written)} files written. Device N needs ca.pem, device-N.pem and device-N.key, "
        "and nothing else; keep ca.key off all devices.\n"
    )
    return 0


def parse_devices(text: str) -> list[int]:
    """Return the device ids that a text means: ``8`` is 0 to 7, ``3,5`` and ``8-11`` a list."""
    try:
        if text.isdecimal():
            devices = list(range(int(text)))
        else:
            spans = [part.split("-") for part in text.split(",")]
            devices = [i for span in spans for i in range(int(span[0]), int(span[-1]) + 1)]
    except ValueError:
        devices = []
    if not 0 < len(devices) <= 10_000:
        rule = "must be a number of devices, or a list of ids such as 3,5 or 8-11"
        raise ConfigError("devices", text, rule)
    return devices
