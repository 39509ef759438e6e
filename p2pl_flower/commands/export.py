"""``p2pl-flower export STATE``: the model in a device's checkpoint, as a file of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import ConfigError
from ..serverless import model_file
from ..serverless.checkpoint import find, model_in


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "state", type=Path, help="a device's checkpoint: the folder, or the file; its peer may run"
    )
    parser.add_argument(
        "--out", type=Path, help=f"file to write ({model_file.FILE} beside the checkpoint)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the model, and say where."""
    state = find(options.state)
    model = model_in(state)
    out: Path = options.out or state.parent / model_file.FILE
    if out.exists() and out.samefile(state):
        raise ConfigError("out", str(out), "is the checkpoint itself: name another file")
    model_file.write(out, model)
    numbers = sum(array.size for array in model.values())
    sys.stdout.write(f"{out}: {len(model)} arrays, {numbers:,} numbers\n")
    return 0
