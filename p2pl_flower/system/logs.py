"""How the commands log."""

from __future__ import annotations

import logging


def configure_log(level: int) -> None:
    """Send our log to standard error, one plain line for each entry."""
    log = logging.getLogger("flwr.p2pl")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(level)
