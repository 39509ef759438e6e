"""``p2pl-flower watch HOST:PORT ...``: how running peers do, as a table that goes on with them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from ..serverless.watched import Watched, pages_of
from ..system.logs import escaped
from ..system.signals import as_ctrl_c

_COLUMNS = "device", "state", "round", "accuracy", "received", "answers", "refused", "absent"
_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "peers",
        nargs="+",
        metavar="PEER",
        help="host:port of a peer's own page (its key `watch`), or the folder of its `checkpoint`",
    )
    parser.add_argument("--every", type=float, default=1.0, help="seconds between looks (1)")
    parser.add_argument("--once", action="store_true", help="look once, and end")
    parser.add_argument(
        "--serve",
        nargs="?",
        const="127.0.0.1:0",
        default="",
        metavar="HOST:PORT",
        help="a page for the browser, too; at a free port of this machine if none is given",
    )
    parser.add_argument("--token", default="", help="what its readers must bring")


def run(options: argparse.Namespace) -> int:
    """Show the peers until none answers, or until Ctrl-C."""
    watched = Watched(options.peers)
    pages = pages_of(options.serve, watched.ask, options.token) if options.serve else None
    try:
        if pages is not None:
            sys.stdout.write(f"{pages.url}\n")
        with as_ctrl_c():
            return _follow(watched, options)
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        watched.close()
        if pages is not None:
            pages.close()


def _follow(watched: Watched, options: argparse.Namespace) -> int:
    if sys.stdout.isatty() and not options.once:
        return _in_place(watched, options.every)
    before: list[str] = []
    while True:
        said = watched.ask()
        lines = ["  ".join(row) for row in rows(said)]
        sys.stdout.write("".join(f"{line}\n" for line in lines if line not in before))
        sys.stdout.flush()
        before = lines
        if options.once or not any(peer["up"] for peer in said):
            return 0 if any(peer["up"] for peer in said) else 1
        time.sleep(options.every)


def _in_place(watched: Watched, seconds: float) -> int:
    """Show one table, over itself again and again."""
    from rich.live import Live

    said = watched.ask()
    with Live(table(said), auto_refresh=False) as live:
        while any(peer["up"] for peer in said):
            live.update(table(said), refresh=True)
            time.sleep(seconds)
            said = watched.ask()
    return 0


def table(said: Sequence[dict[str, Any]]) -> Any:
    """Return what peers say as a table for a terminal."""
    from rich.table import Table
    from rich.text import Text

    made = Table(*_COLUMNS)
    for row, peer in zip(rows(said), said, strict=True):
        made.add_row(*map(Text, row), style="" if peer["up"] else "red")
    return made


def rows(said: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return a row of text for each peer: see `_COLUMNS`."""
    return [_row(peer) if peer["up"] else (escaped(peer["target"]), "no answer") for peer in said]


def _row(peer: dict[str, Any]) -> tuple[str, ...]:
    accuracy, received = peer.get("accuracy"), peer.get("received")
    absent = [j for j, neighbor in peer["neighbors"].items() if neighbor["absent"]]
    found = (
        f"device {peer['device']}",
        "up",
        f"{peer['done']}/{peer['rounds']}",
        "-" if accuracy is None else f"{100 * accuracy:.1f} %",
        "-" if received is None else f"{received:,} B",
        f"{peer['arrived']} arrived",
        f"{peer['refused']} refused",
        f"absent: {', '.join(absent)}" if absent else "all there",
    )
    return tuple(escaped(cell) for cell in found)
