"""Ending a process that serves."""

from __future__ import annotations

import contextlib
import signal
import threading


def wait_for_a_signal() -> None:
    """Return when the process is told to end, by SIGTERM or Ctrl-C."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with contextlib.suppress(KeyboardInterrupt):
        told.wait()
