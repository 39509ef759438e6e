"""``p2pl-flower certs``: a CA, and a certificate and key for each device."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import ConfigError
from ..relay.grpc.certificates import make_certificates

_MOST = 10_000


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
            spans = [range(int(text))]
        else:
            ends = [part.split("-") for part in text.split(",")]
            spans = [range(int(end[0]), int(end[-1]) + 1) for end in ends]
    except ValueError:
        spans = []
    if not 0 < sum(max(0, span.stop - span.start) for span in spans) <= _MOST:
        rule = (
            f"must be a number of devices, {_MOST:,} at most, or a list of ids such as 3,5 or 8-11"
        )
        raise ConfigError("devices", text, rule)
    return [device for span in spans for device in span]
