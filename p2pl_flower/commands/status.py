"""``p2pl-flower status STATE``: what a running peer says of itself."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..serverless.status import ask
from ..system.logs import escaped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("state", type=Path, help="the folder that the device's `checkpoint` names")
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")


def run(options: argparse.Namespace) -> int:
    """Ask, and say it in a few lines."""
    said = ask(options.state)
    sys.stdout.write(json.dumps(said) + "\n" if options.json else text(said))
    return 0


def text(said: dict[str, Any]) -> str:
    """Return a peer's words for people to read."""
    lines = [
        f"device {said['device']} of run {said['run']}: {said['done']} of {said['rounds']} rounds "
        f"are over; listens at {said['address']}"
    ]
    for j, neighbor in said["neighbors"].items():
        state = "absent" if neighbor["absent"] else "there"
        counts = ", ".join(f"{kind} {n}" for kind, n in neighbor["answers"].items()) or "nothing"
        round_ = "?" if neighbor["round"] is None else neighbor["round"]
        lines.append(f"neighbor {j} at {neighbor['address']}: {state}, round {round_}; {counts}")
    return "".join(f"{escaped(line)}\n" for line in lines)
