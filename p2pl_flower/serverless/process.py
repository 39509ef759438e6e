"""A device in a process of its own, whose memory is its own to look after."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable

from ..history import Run
from ..options import end, told
from ..system import open_files
from ..system.allocator import share_one_arena
from ..system.metrics_page import MetricsPage
from .metrics import PeerMetrics
from .peer import ServerlessPeer
from .reports import Report
from .settings import Settings

logger = logging.getLogger("flwr.p2pl")


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
        metrics.add(report)
        if log is not None:
            log(report.measured)

    with contextlib.ExitStack() as closing:
        closing.callback(end, log)
        peer = ServerlessPeer(settings, _after_first(gc.freeze, tell))
        closing.callback(peer.close)
        metrics = PeerMetrics(peer.describe, peer.endpoint.statistics.counts)
        if settings.metrics:
            page = MetricsPage(settings.metrics, metrics.collect)
            closing.callback(page.close)
            logger.info("device %d: metrics at http://%s/metrics", settings.device, page.address)
        gc.freeze()
        return peer.run()


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
