"""A device in a process of its own, whose memory is its own to look after."""

from __future__ import annotations

import gc
from collections.abc import Callable

from ..history import Run
from ..options import told
from ..system import open_files
from ..system.allocator import share_one_arena
from .peer import ServerlessPeer
from .reports import Report
from .settings import Settings


def run_alone(settings: Settings, on_round: Callable[[Report], None]) -> Run:
    """Run a device's rounds, leave the network, and return what was measured.

    Garbage is collected after every message. So that this need not look through libraries and
    data each time, what is loaded before the first round, and in it, is kept for good.
    """
    share_one_arena()
    open_files.raise_limit()
    log = told(settings.loggers, run=f"device-{settings.device}")

    def tell(report: Report) -> None:
        on_round(report)
        if log is not None:
            log(report.measured)

    peer = ServerlessPeer(settings, _after_first(gc.freeze, tell))
    gc.freeze()
    try:
        return peer.run()
    finally:
        peer.close()


def _after_first(
    act: Callable[[], None], on_round: Callable[[Report], None]
) -> Callable[[Report], None]:
    """Return a callback that also acts once."""
    due = [act]

    def both(report: Report) -> None:
        on_round(report)
        if due:
            due.pop()()

    return both
